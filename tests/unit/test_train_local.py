"""What a few days of a place are worth: which days are told, what is made of them, and that no other day is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from fluxatlas.config.train import TrainBlock
from fluxatlas.train.adapt import adapt
from fluxatlas.train.baselines import run_baselines
from fluxatlas.train.calibrated import Structured, calibrate_sites
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.local import local_days, network_local
from fluxatlas.train.pretrain import pretrain
from fluxatlas.train.sites import SiteData
from toy_system import TOY, carbon

DATES = pd.date_range("2001-01-01", periods=150)
MODEL = Structured(TOY, {"light": 0})
SLOPES = np.array([0.85, 1.0, 1.15, 0.9, 1.1, 0.95])
NOISE = 0.1
SETTINGS = TrainBlock(
    hidden=8, code=2, batch=8, sequence_days=60, warmup_days=5, pretrain_epochs=30, pretrain_rate=0.02,
    members=2, folds=3, local_days=12,
)  # fmt: skip


def series(slopes: np.ndarray, seed: int, first: str = "s") -> SequenceSet:
    """Places whose plants take light with a slope of their own, and days with a random error."""
    rng = np.random.default_rng(seed)
    shape = len(DATES), len(slopes)
    drivers = {
        "tas": (283 + 2 * rng.normal(size=shape)).astype(np.float32),
        "rsds": (180 + 30 * rng.normal(size=shape)).clip(10).astype(np.float32),
        "lai": np.full(shape, 2, np.float32),
        "co2": np.full(shape, 380, np.float32),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], slopes)
    made["nee"] = made["nee"] + NOISE * rng.normal(size=shape)
    return SequenceSet(
        DATES,
        tuple(f"{first}{number}" for number in range(len(slopes))),
        np.zeros(len(slopes)),
        np.arange(len(slopes), dtype=float),
        np.arange(len(slopes)),
        drivers,
        {name: np.full(len(slopes), 20, np.float32) for name in ("clay", "soc")},
        {name: np.asarray(values, np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, len(DATES)) for site in range(len(slopes))),
        sd={"nee": np.full(shape, NOISE, np.float32)},
    )


def measured(slopes: np.ndarray = SLOPES, seed: int = 2, first: str = "s") -> SequenceSet:
    """The places above, of which net exchange alone is known."""
    data = series(slopes, seed, first)
    return replace(data, targets={"nee": data.targets["nee"]})


class Exact(torch.nn.Module):
    """A network that is the process model."""

    def forward(self, drivers, statics, theta=None, **_):
        made = carbon(*(drivers[name] for name in ("rsds", "tas", "lai", "co2")), theta["slope"])
        return {name: torch.as_tensor(values) for name, values in made.items()}, {}


def test_days_are_spread_over_what_was_observed_inside_segments() -> None:
    data = measured(SLOPES[:3])
    nee = data.targets["nee"].copy()
    nee[40:140, 1] = np.nan  # 50 observed days in two parts
    nee[7:, 2] = np.nan  # seven
    cut = replace(data, targets={"nee": nee}, segments=(Segment(0, 20, 120), *data.segments[1:]))
    found = local_days(cut, "nee", 4)
    assert np.flatnonzero(found[:, 0]).tolist() == [20, 53, 86, 119]
    assert np.flatnonzero(found[:, 1]).tolist() == [0, 16, 33, 149]  # 0, 16.3, 32.7 and 49 of its days
    assert not found[:, 2].any()
    assert not local_days(cut, "gpp", 4).any()


def test_mean_and_scaled_model_are_those_of_the_days_alone() -> None:
    data = measured()
    process = dict(iter(_baseline(data, "process")))
    days = local_days(data, "nee", 12)
    for name in ("mean_local", "process_local"):
        for number, (site, rows) in enumerate(_baseline(data, name)):
            told = days[:, number]
            o, p = data.targets["nee"][told, number].astype(float), process[site]["predicted"].to_numpy()
            scaled = p * (p[told] @ o) / (p[told] @ p[told])
            expected = np.full(len(DATES), o.mean()) if name == "mean_local" else scaled
            np.testing.assert_allclose(rows["predicted"], expected, rtol=1e-5)
            assert rows["split"].eq("train").tolist() == told.tolist()


def _baseline(data: SequenceSet, name: str):
    alone = SETTINGS.model_copy(update={"baselines": (name,)})
    frames = run_baselines(data, SiteData((data,)), TOY, alone, "4km")
    return pd.concat(frames).sort_values(["site", "time"]).groupby("site")


@pytest.fixture(scope="module")
def posterior():
    return calibrate_sites([measured(seed=5)], MODEL)


def told(data: SequenceSet, posterior, hidden: bool = True) -> pd.DataFrame:
    mask = np.full(data.targets["nee"].shape, hidden)
    return network_local(Exact(), SiteData((data,)), [mask], posterior, MODEL, 1, 12, 0)  # type: ignore[arg-type]


def test_a_place_far_from_all_others_is_found_by_its_own_days(posterior) -> None:
    """Its slope is that of a least-squares fit to the days that are told, drawn a little to the prior."""
    slopes = np.array([0.88, 1.12])
    data = measured(slopes, 9, "u")
    found, known = told(data, posterior), local_days(data, "nee", 12)
    assert set(found["model"]) == {"network_local"} and known.sum() == 24
    unit = carbon(*(data.drivers[name].astype(float) for name in ("rsds", "tas", "lai", "co2")), np.ones(2))
    for number, (_, rows) in enumerate(found.groupby("site")):
        assert rows["split"].eq("train").tolist() == known[:, number].tolist()
        gpp, reco = unit["gpp"][:, number], unit["reco"][:, number]
        slope = ((reco - rows["predicted"].to_numpy()) / gpp).mean()
        days = known[:, number]
        fitted = gpp[days] @ (reco - data.targets["nee"][:, number])[days] / (gpp[days] @ gpp[days])
        assert slope == pytest.approx(fitted, abs=0.02) and abs(slope - slopes[number]) < 0.05
    own = found[found["split"] == "test"]
    inside = (own["observed"] >= own["low"]) & (own["observed"] <= own["high"])
    assert inside.mean() == pytest.approx(0.9, abs=0.06)


def test_days_that_are_scored_are_not_seen(posterior) -> None:
    data = measured(np.array([0.85, 1.15]), 9, "u")
    known = local_days(data, "nee", 12)
    nee = np.where(known, data.targets["nee"], data.targets["nee"] + 5).astype(np.float32)
    before, after = told(data, posterior), told(replace(data, targets={"nee": nee}), posterior)
    pd.testing.assert_series_equal(before["predicted"], after["predicted"])


def test_sites_that_were_learnt_from_or_have_few_days_are_left_out(posterior) -> None:
    data = measured()
    assert told(data, posterior, hidden=False).empty
    short = data.observed(lambda _, v: np.where(np.arange(len(DATES))[:, None] < 23, v, np.nan).astype(np.float32))
    assert told(short, posterior).empty
    assert told(data, calibrate_sites([], MODEL)).empty  # errors are not known where nothing was observed


def test_errors_of_other_variables_alone_do_not_tell_days_of_the_flux(capsys) -> None:
    """Sites that measured GPP say nothing of what net exchange at a place is worth, though it measures both."""
    whole = series(SLOPES, 5)
    other = calibrate_sites([replace(whole, targets={"gpp": whole.targets["gpp"]})], MODEL)
    assert set(other.pool) == {"gpp"}
    both = series(np.array([0.85, 1.15]), 9, "u")
    both = replace(both, targets={name: both.targets[name] for name in ("nee", "gpp")})
    assert told(both, other).empty
    assert "no network_local, since no site outside of the fold says what errors nee has" in capsys.readouterr().err


def test_sites_with_few_days_are_counted_in_the_log(posterior, capsys) -> None:
    data = measured()
    few = (np.arange(len(DATES)) >= 23)[:, None] & (np.arange(6) < 2)
    data = replace(data, targets={"nee": np.where(few, np.nan, data.targets["nee"]).astype(np.float32)})
    said = "leaves out 2 sites with fewer than 24 observed days of nee\n"
    assert set(told(data, posterior)["site"]) == {"s2", "s3", "s4", "s5"}
    assert capsys.readouterr().err.endswith(f"member 0: network_local {said}")
    _baseline(data, "mean_local")
    assert capsys.readouterr().err == f"baseline mean_local\nmean_local {said}"
    _baseline(measured(), "mean_local")
    assert capsys.readouterr().err == "baseline mean_local\n"


def test_the_network_without_knowledge_is_told_no_days() -> None:
    """Its rows would carry the name of the network's own and be averaged with them."""
    samples = replace(
        series(np.random.default_rng(5).uniform(0.8, 1.2, 8), 1),
        theta={"slope": np.full(8, 1, np.float32), "light": np.zeros(8, np.float32)},
        sd={},
    )
    short = {"pretrain_epochs": 1, "finetune_epochs": 1, "finetune_steps": 1, "baselines": ("no_knowledge",)}
    settings = SETTINGS.model_copy(update=short)
    frames = run_baselines(samples, SiteData((measured(),)), TOY, settings, "4km")
    assert set(pd.concat(frames)["model"]) == {"network_no_knowledge"}


def test_a_member_tells_each_site_its_days_where_its_fold_hides_it() -> None:
    samples = replace(
        series(np.random.default_rng(5).uniform(0.8, 1.2, 24), 1),
        theta={"slope": np.full(24, 1, np.float32), "light": np.zeros(24, np.float32)},
        sd={},
    )
    start = pretrain(samples, TOY, SETTINGS, 0, "4km")[0]
    sites = SiteData((measured(),))
    both = [adapt(start, samples, sites, SETTINGS.model_copy(update=one), 0) for one in ({}, {"local_days": 0})]
    with_days, without_days = (made.predictions for made in both)
    local = with_days[with_days["model"] == "network_local"]
    rest = with_days[with_days["model"] != "network_local"]
    pd.testing.assert_frame_equal(rest.reset_index(drop=True), without_days)
    pd.testing.assert_frame_equal(both[0].intervals, both[1].intervals)
    unseen = without_days[without_days["split"] == "test"]
    assert set(local["site"]) == set(unseen["site"]) and len(set(local["site"])) == 4  # two of three folds
    assert local.groupby(["site", "split"]).size().unstack().eq([138, 12]).all(axis=None)
    assert not local.duplicated(["site", "time", "variable"]).any()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"baselines": ("mean_local",)}, "'mean_local' needs 'local_days'"),
        ({"local_days": 20, "split": "time"}, "sites left out"),
        ({"local_days": 20, "ladder": "weights"}, "ladder: weights"),
    ],
)
def test_what_has_no_days_to_tell_is_refused(given, said) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainBlock(**given)
