"""The grid of experiments: its order, its splits, what may reach a prediction, corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from experiment_cases import DATES, SAMPLES, SETTINGS, SITES, folds, true_table
from fluxatlas.config.experiments import ExperimentsBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.experiments.folds import Fold
from fluxatlas.experiments.grid import Experiment, distance, experiments, priority, system_of
from fluxatlas.experiments.run import predictions, run_experiment
from fluxatlas.experiments.scores import score_table
from fluxatlas.systems import get_system
from fluxatlas.train.corrected import corrected
from fluxatlas.train.data import SequenceSet
from fluxatlas.train.member import Member
from fluxatlas.train.pretrain import new_network
from fluxatlas.train.reweight import importance
from fluxatlas.train.sites import SiteData, handed
from toy_system import TOY

SPLITS = ("space", "time", "random")
START = Member(new_network(TOY, SETTINGS, SAMPLES, 1), "4km")


def labels(parts: Sequence[SequenceSet]) -> np.ndarray:
    """Where (time, site) the first set has an observation."""
    return np.isfinite(parts[0].targets["nee"])


GRID = ExperimentsBlock(
    models=("gru", "tcn"),
    transfers=("finetune", "none", "residual"),
    splits=("space", "time"),
    shares=(1.0, 0.5),
    seeds=2,
)


def test_every_combination_is_run_once_and_the_centre_of_the_grid_first() -> None:
    found = experiments(GRID)
    networks = [one for one in found if one.model in GRID.models]
    assert len(networks) == len(set(networks)) == 2 * 3 * 2 * 2 * 2
    assert found[0].name in ("space/1/gru/finetune/0", "space/1/process/none/0")
    away = [distance(GRID, one) for one in found]
    assert away == sorted(away) and away[0] == 0 and max(away) == 5
    assert {one.name for one in networks if distance(GRID, one) == 1} == {
        *("space/1/tcn/finetune/0", "space/1/gru/none/0", "space/1/gru/residual/0", "time/1/gru/finetune/0"),
        *("space/0.5/gru/finetune/0", "space/1/gru/finetune/1"),
    }
    assert [priority(GRID, one) for one in found] == sorted((priority(GRID, one) for one in found), reverse=True)


def test_references_are_run_as_often_as_chance_is_in_them() -> None:
    found = [one for one in experiments(GRID) if one.model not in GRID.models]
    count = pd.Series([one.model for one in found]).value_counts()
    assert dict(count) == {"process": 2, "trees": 2 * 2 * 2, "mean": 2 * (1 + 2), "season": 2 * (1 + 2)}
    assert {one.transfer for one in found} == {"none"}


def test_a_grid_that_repeats_itself_or_has_no_towers_is_refused() -> None:
    with pytest.raises(ValidationError, match="each is named once"):
        ExperimentsBlock(models=("gru", "gru"))
    with pytest.raises(ValidationError, match="'flat_grue' is not a model; did you mean 'gru'"):
        ExperimentsBlock(models=("flat_grue",))
    for one_sided in ({"models": ("gru_given",)}, {"measured_inputs": ("gpp",)}):
        with pytest.raises(ValidationError, match="set both or none"):
            ExperimentsBlock.model_validate(one_sided)
    with pytest.raises(ValidationError, match="a share of the towers is above 0 and at most 1"):
        ExperimentsBlock(shares=(1.0, 0.0))
    with pytest.raises(ValidationError, match=r"'gru/nome' is not a pair of .* did you mean 'gru/none'"):
        ExperimentsBlock(models=("gru",), transfers=("none",), only=("gru/nome",))


def test_named_pairs_alone_are_run_beside_the_references() -> None:
    block = ExperimentsBlock(models=("gru", "tcn"), transfers=("finetune", "none"), only=("gru/finetune", "tcn/none"))
    pairs = {(one.model, one.transfer) for one in experiments(block)}
    assert {pair for pair in pairs if pair[0] in block.models} == {("gru", "finetune"), ("tcn", "none")}
    assert {model for model, _ in pairs} == {"gru", "tcn", *block.references}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_training_validation_and_test_are_apart_and_the_test_is_the_same_for_all(split: str, share: float) -> None:
    for fold, whole in zip(folds(split, share, number=1), folds(split), strict=True):
        training, validation, tested = labels(fold.split.training), labels(fold.split.validation), fold.hidden[0]
        assert not (training & tested).any() and not (validation & tested).any()
        assert (fold.hidden[0] == whole.hidden[0]).all()
        ran = [{segment.site for segment in part[0].segments} for part in (fold.split.training, fold.split.validation)]
        learnt = {SITES.sites[site] for site in set.union(*ran)}
        assert learnt == set(fold.towers) and len(learnt) >= 2
        assert not (labels(fold.split.training) & labels(fold.split.validation))[:, sorted(ran[0] & ran[1])].any()
        if split == "space":
            assert not ran[0] & ran[1] and not tested[:, np.isin(SITES.sites, fold.towers)].any()
            block = SITES.block
            assert not set(block[sorted(ran[0])]) & set(block[sorted(ran[1])])
            assert not set(block[tested.all(axis=0)]) & set(block[~tested.all(axis=0)])
        else:
            assert (training | validation | tested)[:, np.isin(SITES.sites, fold.towers)].all()


def test_each_site_is_tested_once_in_space_and_its_last_year_in_time() -> None:
    assert (sum(fold.hidden[0].astype(int) for fold in folds("space")) == 1).all()
    (fold,) = folds("time")  # three years: the published rule learns from those up to year 6 * 2 // 7 = 1
    assert (fold.hidden[0] == (DATES.year == 2003)[:, None]).all()
    last = np.where(labels(fold.split.training))[0].max()
    assert last < np.where(labels(fold.split.validation))[0].min()
    (fold,) = folds("random")
    assert fold.hidden[0].mean() == pytest.approx(1 / 3, abs=0.02)


def test_a_smaller_share_of_towers_is_part_of_a_larger_one() -> None:
    few, more, other = (folds("time", share, number)[0].towers for share, number in ((0.3, 0), (0.6, 0), (0.3, 1)))
    assert set(few) < set(more) and len(few) == 4 and len(more) == 8 and set(few) != set(other)


def test_one_year_has_no_later_one() -> None:
    first = np.where((DATES.year == 2001)[:, None], SITES.sets[0].targets["nee"], np.nan).astype(np.float32)
    short = SiteData((replace(SITES.sets[0], targets={"nee": first}),))
    with pytest.raises(InputError, match="no observation of 'nee' lies in a later year"):
        folds("time", sites=short)


TRANSFERS = ("none", "finetune", "l2sp", "residual", "stacking", "reweighted", "adversarial")


def predicted(model: str, transfer: str, fold: Fold, sites: SiteData = SITES, **settings: object) -> np.ndarray:
    block = SETTINGS.model_copy(update=settings)
    one = Experiment("space", "1", model, transfer, 0)
    return predictions(one, fold, sites, SAMPLES, TOY, block, "4km", START)[0]["nee"]


@pytest.mark.parametrize(
    ("split", "transfer"), [*(("space", name) for name in TRANSFERS), ("time", "reweighted"), ("random", "none")]
)
def test_test_labels_change_no_prediction_and_training_labels_do(split: str, transfer: str) -> None:
    """Bit by bit, at every site and day: neither weights, nor selection, nor the weights of samples see them."""
    known = folds(split)[0]

    def with_labels(where: np.ndarray) -> np.ndarray:
        other = np.where(where, 50.0 - 3.0 * SITES.sets[0].targets["nee"], SITES.sets[0].targets["nee"])
        changed = SiteData((replace(SITES.sets[0], targets={"nee": other.astype(np.float32)}),))
        return predicted("gru", transfer, folds(split, sites=changed)[0], changed)

    plain = predicted("gru", transfer, known)
    assert np.isfinite(plain).all()
    np.testing.assert_array_equal(with_labels(known.hidden[0]), plain)
    assert np.abs(with_labels(~known.hidden[0]) - plain).max() > 1e-4


def test_weights_of_samples_know_neither_labels_nor_weather_of_what_is_tested() -> None:
    fold = folds("space")[0]
    other = {name: np.where(fold.hidden[0], values + 9, values) for name, values in SITES.sets[0].drivers.items()}
    moved = SiteData((replace(SITES.sets[0], drivers=other),))
    weights, size = importance(SAMPLES, fold.split.training, TOY)
    again, same = importance(SAMPLES, folds("space", sites=moved)[0].split.training, TOY)
    np.testing.assert_array_equal(weights, again)
    assert size == same and 1 <= size <= len(SAMPLES.sites)


def test_a_correction_that_is_zero_is_the_simulator_and_learns_beside_it() -> None:
    batch = SITES.sets[0].batch(SITES.sets[0].windows(60)[:3], 5)
    before = {name: value.clone() for name, value in START.network.state_dict().items()}
    with torch.no_grad():
        plain = START.network(batch.drivers, batch.statics)[0]["nee"]
        for stacked in (False, True):
            network = corrected(START, SAMPLES, stacked, 3).network.train()
            found, state = network(batch.drivers, batch.statics)
            torch.testing.assert_close(found["nee"], plain, rtol=1e-5, atol=1e-5)
            assert not network.base.training and "correction" in state
            network.parts["correction"].readout.bias += 1.0
            moved = network(batch.drivers, batch.statics)[0]["nee"]
            torch.testing.assert_close(moved - plain, network.unit.expand_as(plain), rtol=1e-4, atol=1e-4)
    fold = folds("space")[0]
    assert np.abs(predicted("gru", "residual", fold) - predicted("gru", "stacking", fold)).max() > 1e-4
    for name, value in START.network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_flat_network_is_judged_on_hidden_outputs_and_the_truth_changes_no_prediction() -> None:
    system, one = system_of("flat_gru", TOY), Experiment("time", "1", "flat_gru", "none", 0)
    plain, moved = (
        run_experiment(one, SITES, SAMPLES, system, SETTINGS, 3, "4km", truth=true_table(shift), hidden=["reco"])
        for shift in (0.0, 1.5)
    )
    assert list(plain["target"].value_counts()) == [12, 12]
    np.testing.assert_array_equal(plain["predicted_mean"], moved["predicted_mean"])


def test_a_flat_network_sees_what_sites_give_and_its_system_is_found_again() -> None:
    system = system_of("flat_gru_given", TOY, ["gpp"])
    assert [part.outputs for part in system.submodules] == [("gpp",), ("reco",)] and not system.knowledge
    assert [part.outputs for part in system_of("flat_gru", TOY, ["gpp"]).submodules] == [("gpp", "reco")]
    assert system_of("gru_given", TOY, ["gpp"]) is TOY
    again = get_system("crop_carbon+flat+gpp")
    assert get_system(again.key) == again and again.key == "crop_carbon+flat+gpp"
    assert not {"harvest", "residue"} & {*again.intermediates, *again.outputs} and again.flux == "nee"
    gpp = np.where(np.arange(len(DATES))[:, None] % 2, np.nan, 7.0 + 0 * SITES.sets[0].targets["nee"])
    sites = SiteData((replace(SITES.sets[0], targets={**SITES.sets[0].targets, "gpp": gpp.astype(np.float32)}),))
    sites = handed(sites, ["gpp"], system)
    one, fold = Experiment("space", "1", "flat_gru_given", "none", 0), folds("space", sites=sites)[0]
    found = predictions(one, fold, sites, SAMPLES, system, SETTINGS, "4km")[0]
    assert (found["gpp"][::2] == 7).all() and np.ptp(found["gpp"][1::2]) > 0.1
    np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-5)
    with pytest.raises(ConfigError, match="'gppp' cannot be given to the flat network; did you mean 'gpp'"):
        system_of("flat_gru_given", TOY, ["gppp"])


def test_a_network_is_run_on_all_folds_and_effective_samples_are_kept() -> None:
    one = Experiment("space", "0.5", "gru", "reweighted", 0)
    table = run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km", START)
    assert set(table["fold"]) == {0, 1, 2} and table["effective_samples"].between(1, 12).all()
    assert (table["towers"] == 4).all() and set(table["site"]) == set(SITES.sites)
    assert {"rmse", "effective_samples"} <= set(score_table(table, 30)["score"])
    with pytest.raises(ConfigError, match="cell"):
        run_experiment(replace(one, model="grue"), SITES, SAMPLES, TOY, SETTINGS, 3, "4km", START)
    with pytest.raises(InputError, match="begins with a pretrained network"):
        run_experiment(one, SITES, SAMPLES, TOY, SETTINGS, 3, "4km")
