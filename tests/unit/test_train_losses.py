"""Losses: masks, weights, and the share of each term."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import train_toy as toy
from fluxatlas.config.train import TrainBlock
from fluxatlas.systems import ObservationKind
from fluxatlas.train.data import Batch, Segment, SequenceSet
from fluxatlas.train.finetune import split_sites
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective, flux_loss, masked_huber, site_bias
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.operators import ObservationSet, Spans, interval, year_sum
from fluxatlas.train.scaler import Scaler
from fluxatlas.train.sites import SiteData
from toy_system import TOY

NAN = float("nan")


def test_masked_huber_counts_only_what_is_there() -> None:
    predicted = torch.tensor([[1.0, 5.0], [0.5, 0.0]], requires_grad=True)
    loss = masked_huber(predicted, torch.tensor([[0.0, NAN], [0.0, 3.0]]))
    assert float(loss.detach()) == pytest.approx((0.5 + 0.125 + 2.5) / 3)
    loss.backward()
    assert predicted.grad[0, 1] == 0 and torch.isfinite(predicted.grad).all()


def test_losses_above_the_pace_do_not_count() -> None:
    predicted = torch.tensor([0.5, 1.0, 4.0], requires_grad=True)  # losses of 0.125, 0.5 and 3.5
    loss = masked_huber(predicted, torch.zeros(3), most=0.5)
    loss.backward()
    assert float(loss.detach()) == pytest.approx((0.125 + 0.5) / 2)
    assert predicted.grad is not None and predicted.grad.tolist() == [0.25, 0.5, 0.0]
    assert masked_huber(predicted, torch.zeros(3), most=0.1) == 0


def test_nothing_observed_is_zero_with_zero_gradient() -> None:
    predicted = torch.ones(3, 2, requires_grad=True)
    target = torch.full((3, 2), NAN)
    none = torch.zeros(0)
    bias = site_bias(predicted[:0, 0], none, none.long(), torch.ones(2), 0.5)
    loss = flux_loss(predicted, target, 0.5, target, torch.ones(2)) + bias
    loss.backward()
    assert float(loss.detach()) == 0 and (predicted.grad == 0).all()


def test_flux_loss_is_that_of_the_compressed_scale() -> None:
    loss = flux_loss(torch.tensor([[-1.0]]), torch.tensor([[0.0]]), 0.5)
    assert float(loss) == pytest.approx(math.asinh(2.0) - 0.5)  # beyond the threshold: |z| - 1/2


def test_uncertain_days_and_long_sites_weigh_less() -> None:
    predicted, target = torch.tensor([[0.5, 0.0]]), torch.zeros(1, 2)
    alike = flux_loss(predicted, target, 0.5)
    assert flux_loss(predicted, target, 0.5, sd=torch.tensor([[0.5, NAN]])) < alike
    assert float(flux_loss(predicted, target, 0.5, site=torch.tensor([1.0, 3.0])) / alike) == pytest.approx(0.5)


def test_site_bias_sees_the_mean_alone() -> None:
    target, cluster = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0, 1, 0, 1])
    swing = torch.tensor([1.0, -1.0, -1.0, 1.0])
    assert float(site_bias(target + swing, target, cluster, torch.ones(2), 0.5)) == pytest.approx(0, abs=1e-6)
    assert float(site_bias(target + 0.5, target, cluster, torch.ones(2), 0.5)) == pytest.approx(
        0.5 / float(target.std()), rel=1e-5
    )


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_every_term_is_weighed_and_warm_up_does_not_count(stage) -> None:
    data = toy.samples(n=3, days=60)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4))
    network.scaler.fit(data.values())
    objective = Objective(toy.SYSTEM, stage, Knowledge.of(toy.SYSTEM, stage))
    batch = data.batch(data.windows(30)[:3], warmup=20)
    terms = objective.terms(network, batch)
    assert set(terms) == set(objective.weights())
    wrong = {name: np.where(np.arange(60)[:, None] < 20, 1e6, values) for name, values in data.targets.items()}
    windows = [window for window in data.windows(30) if window.start == 30][:3]
    batch = data.batch(windows, warmup=20)
    terms = objective.terms(network, batch)
    again = objective.terms(network, replace(data, targets=wrong).batch(windows, warmup=20))  # before the window
    assert {name: float(value.detach()) for name, value in again.items()} == {
        name: float(value.detach()) for name, value in terms.items()
    }
    total = sum(objective.weights()[name] * float(value.detach()) for name, value in terms.items())
    assert float(objective.total(terms).detach()) == pytest.approx(total, rel=1e-5)


def world() -> SequenceSet:
    """Three months of four sites of the toy system, with gaps, uncertainties, and weights; site 2 without the flux."""
    rng = np.random.default_rng(8)
    shape = (90, 4)
    targets = {"nee": rng.normal(-1, 2, shape), "gpp": rng.gamma(2, 2, shape), "reco": rng.gamma(2, 1.5, shape)}
    for values in targets.values():
        values[rng.random(shape) < 0.3] = np.nan
    targets["nee"][:, 2] = np.nan
    sd = {"nee": np.where(rng.random(shape) < 0.2, np.nan, rng.uniform(0.1, 2, shape))}
    drivers = {name: rng.normal(size=shape) for name in ("tas", "rsds", "lai", "co2")}
    statics = {name: rng.normal(size=4) for name in ("clay", "soc")}

    def small(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.asarray(values, np.float32) for name, values in arrays.items()}

    return SequenceSet(
        dates=pd.date_range("2003-12-01", periods=90),
        sites=("a", "b", "c", "d"),
        lat=np.arange(4.0),
        lon=np.arange(4.0),
        block=np.arange(4),
        drivers=small(drivers),
        statics=small(statics),
        targets=small(targets),
        sd=small(sd),
        segments=tuple(Segment(site, 2 * site, 90 - 3 * site) for site in range(4)),
        weight=np.array([1, 0.5, 2, 0.3], np.float32),
    )


class Stand:
    """In the place of a network: every output is a driver times one weight."""

    def __init__(self, data: SequenceSet) -> None:
        self.scaler = Scaler(("gpp", "reco"))
        self.scaler.fit(data.targets)
        self.slope = torch.tensor(0.7, requires_grad=True)

    def __call__(self, drivers, statics, **_) -> tuple[dict[str, torch.Tensor], None]:
        made = zip(("nee", "gpp", "reco"), drivers.values(), strict=False)
        found = {name: self.slope * driver + statics["clay"] for name, driver in made}
        return {name: values if name == "nee" else values.abs() for name, values in found.items()}, None


RECORDED = (  # flux, carbon, site_bias, gradient of the total in pretraining and fine-tuning, observed fluxes
    (0.8553782105445862, 1.5724530220031738, 0.1602076143026352, 0.02993720769882202, 0.22019727528095245, 56),
    (0.7558398842811584, 1.2802668809890747, 0.26959171891212463, -0.11104395985603333, 0.09189674258232117, 64),
    (0.961336612701416, 1.334109902381897, 0.6997838616371155, 0.09455379843711853, 0.2719336152076721, 33),
)
"""Of the first three batches, before losses knew of operators: outputs were compared with tables of targets."""


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_losses_of_single_days_are_what_they_were_without_operators(stage) -> None:
    data = world()
    network = Stand(data)
    objective = Objective(TOY, stage, Knowledge.of(TOY, stage))
    batches: list[Batch] = list(data.batches(3, 25, 7, None))
    for batch, (flux, carbon, bias, slope, tuned, count) in zip(batches[:3], RECORDED, strict=True):
        network.slope.grad = None
        terms = objective.terms(network, batch, probe=False)
        objective.total(terms).backward()
        wanted = {"flux": flux, "carbon": carbon} | ({"site_bias": bias} if stage == "finetune" else {})
        assert {name: float(value.detach()) for name, value in terms.items()} == pytest.approx(wanted, rel=1e-6)
        assert float(network.slope.grad) == pytest.approx(slope if stage == "pretrain" else tuned, rel=1e-5)
        assert objective.observations(batch) == count


def months_of(data: SequenceSet, slope: float = 1.3) -> tuple[ObservationSet, np.ndarray, np.ndarray, np.ndarray]:
    """Means of January by pandas of a world of another ``slope``: set, what ``Stand`` predicts, values and sd."""
    sites, sd = np.array([0, 1, 2, 0, 1]), np.array([0.5, 1.0, 2.0, 0.5, 1.0])
    when = ["2004-01-01"] * 3 + ["2003-12-01", "2004-02-01"]  # February has 29 days and the axis of site 1 ends before

    def means(factor: float) -> np.ndarray:
        made = pd.DataFrame(factor * data.drivers["tas"] + data.statics["clay"], index=data.dates)
        table = made.resample("MS").mean()
        return np.array([table.loc[month, site] for month, site in zip(when, sites, strict=True)])

    spans = Spans.months(data.dates, when)
    made = ObservationSet.of(interval("nee", spans, sites), means(slope), sd, weight=spans.length)
    return made, means(0.7), means(slope), sd


def test_means_of_a_flux_over_months_are_in_its_loss_beside_days() -> None:
    """The terms by hand: Huber of asinh and the bias of sites, each month with the weight of its days and its site."""
    data = world()
    monthly, predicted, value, sd = months_of(data)
    data = replace(data, periods=(monthly,))
    objective, network = Objective(TOY, "finetune", Knowledge.of(TOY, "finetune")), Stand(data)
    others = [flux.variable for flux in TOY.fluxes if flux.variable in TOY.head_fluxes and flux.variable != "nee"]
    data = replace(data, targets={"nee": data.targets["nee"]}, sd={"nee": data.sd["nee"]}) if others else data
    batch = data.batch(data.windows(90), warmup=5)
    scale = next(flux.scale for flux in TOY.fluxes if flux.variable == "nee")
    made = 0.7 * data.drivers["tas"] + data.statics["clay"]
    rows = [
        (made[t, s], data.targets["nee"][t, s], data.sd["nee"][t, s], data.weight[s])
        for s, start, stop in data.segments
        for t in range(start, stop)
        if np.isfinite(data.targets["nee"][t, s])
    ]
    days = len(rows)
    months = list(zip((0, 1, 2, 3), (0, 1, 2, 0), strict=True))
    rows += [(predicted[k], value[k], sd[k], 31 * data.weight[s]) for k, s in months]
    one, two, spread, weight = np.array(rows, float).T
    apart = np.abs(np.arcsinh(one / scale) - np.arcsinh(two / scale))
    loss = np.where(apart < 1, apart**2 / 2, apart - 0.5)
    weight = weight * scale**2 / (scale**2 + np.nan_to_num(spread) ** 2)
    terms = objective.terms(network, batch, probe=False)
    assert float(terms["flux"].detach()) == pytest.approx((loss * weight).sum() / weight.sum(), rel=1e-5)
    assert objective.observations(batch) == days + 4 * 31
    place = np.array([*(s for s, start, stop in data.segments for t in range(start, stop)
                        if np.isfinite(data.targets["nee"][t, s])), 0, 1, 2, 0])  # fmt: skip
    size = np.where(np.arange(len(place)) < days, 1, 31)
    bias = np.array([np.average((one - two)[place == s], weights=size[place == s]) for s in range(4)])
    expected = np.average(np.abs(bias), weights=data.weight) / two.std(ddof=1)
    assert float(terms["site_bias"].detach()) == pytest.approx(expected, rel=1e-4)


def test_months_alone_give_the_slope_that_made_them() -> None:
    """A linear world: no day observed, the loss has its least value, 0, at the slope of the truth."""
    data = world()
    bare = {"nee": np.full_like(data.targets["nee"], np.nan)}
    network = Stand(data)
    data = replace(data, targets=bare, sd={}, periods=(months_of(data)[0],))
    batch = data.batch(data.windows(90), warmup=5)
    objective = Objective(TOY, "finetune", Knowledge.of(TOY, "finetune"))
    optimiser = torch.optim.LBFGS([network.slope], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = objective.terms(network, batch, probe=False)["flux"]
        loss.backward()
        return loss

    optimiser.step(closure)
    assert float(network.slope.detach()) == pytest.approx(1.3, abs=1e-3)


def test_sites_with_months_alone_are_counted_folded_weighted_and_held_out() -> None:
    data = world()
    bare = {name: np.full_like(values, np.nan) for name, values in data.targets.items()}
    data = replace(data, targets=bare, periods=(months_of(data)[0],))
    assert data.count("nee").tolist() == [62, 31, 31, 0]  # February of site 1 is not whole; site 3 has none
    assert data.count("gpp").tolist() == [0, 0, 0, 0]
    settings = TrainBlock.model_validate({"folds": 2, "members": 2})
    sites = SiteData((data,))
    assert sites.count("nee").tolist() == [62, 31, 31, 0]
    split = split_sites(sites, "nee", settings, 0, seed=1)
    hidden = split.hidden[0].all(axis=0)
    left = split_sites(sites, "nee", settings, 1, seed=1).hidden[0].all(axis=0)
    assert (hidden ^ left).all()  # each site in one of two folds
    training, validation = split.training[0], split.validation[0]
    held = {part.site for part in validation.segments}
    assert held and not held & {part.site for part in training.segments}
    for site in np.flatnonzero(hidden):
        assert training.count("nee")[site] == validation.count("nee")[site] == 0
    first = int(np.flatnonzero(~hidden & (data.count("nee") > 0))[0])
    part = training if first not in held else validation
    assert part.weight[first] == pytest.approx(1 / np.sqrt(data.count("nee")[first]))


def test_means_of_what_is_no_flux_have_a_term_of_their_own() -> None:
    """A system that declares them: half the whitened square per month, of windows that hold the month."""
    data = world()
    months = Spans.months(data.dates, ["2003-12-01", "2004-01-01", "2004-01-01"])
    sites, value, sd = np.array([0, 1, 2]), np.array([-1.0, 0.5, 0.7]), np.array([0.5, 1.0, 0.5])
    yearly = ObservationSet.of(year_sum("nee", data.dates, [2004], [0]), [1.0], [1.0])  # of which there are two months
    data = replace(data, periods=(ObservationSet.of(interval("gpp", months, sites), value, sd), yearly))
    declared = (*TOY.observations, ObservationKind("nee", support="interval"))
    system = replace(TOY, fluxes=TOY.fluxes[:1], observations=declared)
    objective = Objective(system, "finetune", Knowledge.of(system, "finetune"))
    network = Stand(data)
    terms = objective.terms(network, data.batch(data.windows(90), warmup=5), probe=False)
    driver = list(data.drivers.values())[1]
    table = pd.DataFrame(np.abs(0.7 * driver + data.statics["clay"]), index=data.dates).resample("MS").mean()
    when = ["2003-12-01", "2004-01-01", "2004-01-01"]
    whitened = [(table.loc[when[k], sites[k]] - value[k]) / sd[k] for k in range(3)]
    assert float(terms["observed"].detach()) == pytest.approx(0.5 * np.mean(np.square(whitened)), rel=1e-5)
    objective.total(terms).backward()
    assert torch.isfinite(network.slope.grad)
    short = data.batch(data.windows(20), warmup=5)  # no month lies in twenty days
    assert float(objective.terms(network, short, probe=False)["observed"].detach()) == 0


def test_a_site_with_months_alone_has_windows() -> None:
    data = world()
    months = Spans.months(data.dates, ["2004-01-01"])
    monthly = ObservationSet.of(interval("nee", months, [2]), [1.0], [1.0])
    bare = {name: np.full_like(values, np.nan) for name, values in data.targets.items()}
    assert replace(data, targets=bare).windows(90) == []
    found = replace(data, targets=bare, periods=(monthly,))
    assert [data.segments[window.segment].site for window in found.windows(90)] == [2]
    assert [one.size for one in found.batch(found.windows(90), 3).observations] == [0, 0, 0, 1]


def test_months_with_hidden_days_are_hidden() -> None:
    data = world()
    months = Spans.months(data.dates, ["2003-12-01", "2004-01-01", "2004-01-01"])
    monthly = ObservationSet.of(interval("nee", months, [0, 0, 1]), np.ones(3), np.ones(3))
    day = np.zeros((90, 4), bool)
    day[40, 0] = True  # in January
    hidden = replace(data, periods=(monthly,)).observed(lambda _, values: np.where(day, np.float32(np.nan), values))
    assert hidden.periods[0].rows.tolist() == [0, 2]
