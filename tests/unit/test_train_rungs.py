"""The ladder as it is climbed in training: worlds in which a rung of each kind is the right one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.train import TrainBlock
from fluxatlas.train import rungs
from fluxatlas.train.adapt import adapt
from fluxatlas.train.calibrated import Structured
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.member import Member
from fluxatlas.train.pretrain import pretrain
from fluxatlas.train.sites import SiteData
from toy_system import TOY, carbon

SETTINGS = TrainBlock(
    hidden=8, code=2, batch=8, sequence_days=60, warmup_days=5, pretrain_epochs=30, finetune_epochs=15, rehearsal=0.0,
    pretrain_rate=0.02, finetune_rate=0.02, members=2, ladder="climb",
)  # fmt: skip
DATES = pd.date_range("2001-01-01", periods=120)


def series(count: int, seed: int, slope, light: float = 1.0, noise: float = 0.0) -> SequenceSet:
    """Weather by chance, and fluxes of the process model; plants take ``light`` times as much as it says."""
    rng = np.random.default_rng(seed)
    shape = (len(DATES), count)
    drivers = {
        "tas": (283 + 4 * rng.normal(size=count) + 2 * rng.normal(size=shape)).astype(np.float32),
        "rsds": (180 + 30 * rng.normal(size=count) + 30 * rng.normal(size=shape)).clip(10).astype(np.float32),
        "lai": np.full(shape, 2, np.float32),
        "co2": np.full(shape, 380, np.float32),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], slope * np.ones(count))
    made["gpp"] = light * made["gpp"]
    made["nee"] = made["reco"] - made["gpp"] + noise * rng.normal(size=shape)
    return SequenceSet(
        DATES,
        tuple(f"s{number}" for number in range(count)),
        np.zeros(count),
        np.arange(count, dtype=float),
        np.arange(count),
        drivers,
        {name: rng.uniform(5, 40, count).astype(np.float32) for name in ("clay", "soc")},
        {name: values.astype(np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, len(DATES)) for site in range(count)),
    )


@pytest.fixture(scope="module")
def start() -> tuple[Member, SequenceSet]:
    rng = np.random.default_rng(5)
    slope = rng.uniform(0.8, 1.2, 24)
    told = {"slope": slope.astype(np.float32), "light": np.zeros(24, np.float32)}
    samples = replace(series(24, 1, slope), theta=told)
    return pretrain(samples, TOY, SETTINGS, 0, "4km")[0], samples


def observed(**world) -> SiteData:
    """Sites that measure net exchange alone."""
    data = series(6, 2, **world)
    return SiteData((replace(data, targets={"nee": data.targets["nee"]}),))


def chosen(start, sites: SiteData, kind=rungs.RungMaterials, fold: tuple[int, ...] = ()):
    member, samples = start
    materials = kind(member, samples, sites, SETTINGS, Structured(TOY, {"light": 0}), 0)
    hidden = np.zeros(sites.sets[0].targets["nee"].shape, bool)
    hidden[:, list(fold)] = True
    return rungs.choose(materials, (hidden,))


def test_nothing_to_learn_is_the_first_rung(start, capsys) -> None:
    """Places differ as the prior says, about its mean."""
    found = chosen(start, observed(slope=np.tile([0.94, 1.06], 3), noise=0.3))
    assert found.chosen == "prior"
    assert "member 0: 'calibrated' without s3" in capsys.readouterr().err


def test_a_parameter_off_its_prior_is_the_second(start) -> None:
    found = chosen(start, observed(slope=1.18, noise=0.3))
    assert found.chosen == "calibrated"
    assert "'prior', simpler, is behind by more than one" in found.why


def test_what_no_parameter_can_say_takes_weights(start) -> None:
    """Uptake is 0.6 of what the process model says; its parameter ends at 0.8."""
    found = chosen(start, observed(slope=1.0, light=0.6, noise=0.3))
    assert found.chosen == "network"


class Cheap(rungs.RungMaterials):
    names = ("prior", "calibrated")


def test_the_choice_does_not_see_the_fold(start) -> None:
    sites = observed(slope=1.18, noise=0.3)
    found = chosen(start, sites, Cheap, fold=(2,))
    part = sites.sets[0]
    nee = part.targets["nee"].copy()
    nee[:, 2] = 50.0
    other = chosen(start, SiteData((replace(part, targets={"nee": nee}),)), Cheap, fold=(2,))
    assert 2 not in found.scores.index and len(found.scores) == 5
    pd.testing.assert_frame_equal(found.scores, other.scores)


def test_few_clusters_are_no_choice(start) -> None:
    found = chosen(start, observed(slope=1.18), Cheap, fold=(2, 3))
    assert found.chosen == rungs.DEFAULT
    assert "4 clusters" in found.why


def test_a_member_says_which_rung_and_why(start) -> None:
    member, samples = start
    settings = SETTINGS.model_copy(update={"members": 6})
    found = adapt(member, samples, observed(slope=1.18, noise=0.3), settings, 0)
    assert found.member.meta["ladder"] == found.member.meta["climb"]["why"].split("'")[1]
    assert set(found.member.meta["climb"]["rungs"]) == {"prior", "calibrated", "network"}
    named = adapt(member, samples, observed(slope=1.18, noise=0.3), settings.model_copy(update={"ladder": "last"}), 0)
    assert named.member.meta["ladder"] == "last" and "climb" not in named.member.meta
    assert len(named.history) > 0


def test_weights_alone_are_trained_with_the_parameters_of_the_prior(start) -> None:
    member, samples = start
    settings = SETTINGS.model_copy(update={"members": 6, "ladder": "weights"})
    sites = observed(slope=1.0, light=0.6, noise=0.3)
    found, prior = (
        adapt(member, samples, sites, settings.model_copy(update={"ladder": rung}), 0) for rung in ("weights", "prior")
    )
    assert found.member.meta["ladder"] == "weights" and len(found.history) > 0 and len(prior.history) == 0
    pd.testing.assert_frame_equal(found.parameters, prior.parameters)
    error = []
    for one in (found, prior):
        unseen = one.predictions.query("split == 'test' and variable == 'nee'")
        error.append(float(((unseen["predicted"] - unseen["observed"]) ** 2).mean()))
    assert error[0] < 0.5 * error[1]  # light counts 0.6 of what the process model says: weights learn it


@pytest.mark.parametrize("ladder", ["calibrated", "weights"])
def test_a_member_with_several_folds_predicts_each_site_as_if_it_were_unknown(start, ladder) -> None:
    """Labels of a site move the predictions of other sites and never its own; one fold alone is predicted the same."""
    member, samples = start
    sites, few = observed(slope=1.12, noise=0.2), {"finetune_epochs": 2, "ladder": ladder}
    alone = SETTINGS.model_copy(update={**few, "members": 1, "folds": 6})
    whole = adapt(member, samples, sites, alone, 0)
    found = whole.predictions.set_index(["site", "time", "variable"]).sort_index()
    assert set(found["split"]) == {"test"} and found.index.is_unique
    assert found.loc[(slice(None), slice(None), "nee"), :].groupby("site").size().to_dict() == dict.fromkeys(
        (f"s{n}" for n in range(6)), len(DATES)
    )
    assert whole.member.meta["hidden_sites"] == [f"s{n}" for n in range(6)] and len(whole.member.meta["sites"]) == 6
    assert (whole.intervals.query("seen == 0").groupby(["site", "target"]).size() == 1).all()
    part = sites.sets[0]
    nee = part.targets["nee"].copy()
    nee[:, 4] += 3.0
    other = adapt(member, samples, SiteData((replace(part, targets={"nee": nee}),)), alone, 0)
    moved = other.predictions.set_index(["site", "time", "variable"]).sort_index()["predicted"] != found["predicted"]
    assert not moved["s4"].any() and all(moved[f"s{n}"].any() for n in (0, 1, 2, 3, 5))
    shared = adapt(member, samples, sites, alone.model_copy(update={"members": 6}), 0).predictions
    own = shared[shared["split"] == "test"].set_index(["site", "time", "variable"]).sort_index()
    pd.testing.assert_series_equal(own["predicted"], found.loc[own.index, "predicted"])


def test_members_share_folds_so_that_each_is_predicted_once() -> None:
    for members, folds in ((1, 6), (3, 7), (4, 4), (1, None)):
        block = TrainBlock(members=members, folds=folds)
        every = [fold for member in range(members) for fold in block.folds_of(member)]
        assert sorted(every) == list(range(block.n_folds)) == list(block.rounds)
    assert TrainBlock(members=3, folds=4, every_fold=True).folds_of(1) == (1, 0, 2, 3)
    more = TrainBlock(members=5, folds=2)
    assert [more.folds_of(member) for member in range(5)] == [(0,), (1,), (0,), (1,), (0,)] and len(more.rounds) == 5
