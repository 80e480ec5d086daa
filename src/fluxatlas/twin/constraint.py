"""The twin of the regional constraint: what it does in a small world whose exchange is known everywhere.

Term, points, corrections and training are those of the product; only the world is made up
(:mod:`fluxatlas.testing.carbon_world`). Acceptance follows section "Twin" of ``docs/net_ecosystem_exchange.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..config.train import TrainBlock
from ..systems import Phase, Ramp
from ..testing.carbon_world import SYSTEM, CarbonWorld, make_world
from ..train.data import Segment, SequenceSet
from ..train.finetune import finetune
from ..train.member import Member
from ..train.operators import Points
from ..train.predict import predict
from ..train.pretrain import new_network
from ..train.regional import (
    Correction,
    RegionalData,
    RegionalObjective,
    RegionalTarget,
    choose_points,
    compose,
    hold_out_years,
)
from ..train.sites import SiteData

FloatArray = npt.NDArray[np.floating[Any]]
FLOOR = 50.0
"""Error that all inversions share in a region and month [Tg], 0.6 PgC per year."""
TRUST = 1.0
"""Weight of the term in all runs that have it."""


@dataclass(frozen=True)
class Size:
    """How large a twin is; ``points`` of each region."""

    pixels: int = 480
    regions: int = 6
    years: int = 5
    towers: int = 60
    members: int = 6
    points: int = 20
    hidden: int = 16
    tower_steps: int = 500
    steps: int = 500
    rate: float = 5e-3
    seed: int = 1


class Twin:
    """One world and the runs on it; every run starts from the network that saw towers alone."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.world: CarbonWorld = make_world(
            size.pixels, size.regions, size.years, size.towers, size.members, size.seed
        )
        self.settings = TrainBlock(
            cell="lstm",
            hidden=size.hidden,
            code=0,
            batch=32,
            sequence_days=365,
            warmup_days=5,
            finetune_rate=size.rate,
            rehearsal=0.0,
            members=5,
            seed=size.seed,
            strategy="finetune",
            ladder="network",
            clip=1.0,
        )
        self._truth = self.world.sums(self.world.flux["nee"])

    def series(self, pixels: npt.NDArray[np.int64], targets: dict[str, FloatArray]) -> SequenceSet:
        """Series of ``pixels``, each a block of its own."""
        world = self.world
        return SequenceSet(
            dates=world.dates,
            sites=tuple(str(pixel) for pixel in pixels),
            lat=world.lat[pixels],
            lon=world.lon[pixels],
            block=np.arange(pixels.size),
            drivers={name: values[:, pixels] for name, values in world.drivers.items()},
            statics={name: values[pixels].astype(np.float32) for name, values in world.statics.items()},
            targets={name: values.astype(np.float32) for name, values in targets.items()},
            segments=tuple(Segment(number, 0, len(world.dates)) for number in range(pixels.size)),
        )

    @cached_property
    def everywhere(self) -> SequenceSet:
        """All pixels, without targets."""
        return self.series(np.arange(self.size.pixels), {})

    @cached_property
    def samples(self) -> SequenceSet:
        """Series that standardise inputs and outputs; nothing is learnt from them."""
        some = np.arange(0, self.size.pixels, max(self.size.pixels // 60, 1))
        return self.series(some, {name: values[:, some] for name, values in self.world.flux.items()})

    @cached_property
    def sites(self) -> SiteData:
        """The towers."""
        return SiteData((self.series(self.world.towers, {"nee": self.world.observed}),))

    @cached_property
    def towers_only(self) -> Member:
        """The network that saw towers alone."""
        start = Member(new_network(SYSTEM, self.settings, self.samples, self.size.seed), "4km")
        phase = Phase("towers", steps=self.size.tower_steps, synthetic=0.0)
        return finetune(start, self.samples, self.sites, self.settings, 0, phases=[phase])[0]

    def target(self, *, corrected: bool = True, sums: FloatArray | None = None) -> RegionalTarget:
        """Region-months of the inversions without fire; of other true ``sums`` (month, region) in their place."""
        world = self.world
        members = world.inversions if sums is None else world.inversions + (sums - self._truth)[..., None]
        names = [f"region {number}" for number in range(self.size.regions)]
        content = {"sign": "positive_to_atmosphere", "fire_included": True, "lateral": "not removed"}
        fire = [Correction("fire", world.fire, "known")] if corrected else []
        without = ["lateral"] if corrected else ["lateral", "fire"]
        return compose("ecosystem", world.month, names, members, FLOOR, content, fire, without)

    def data(self, target: RegionalTarget, *, pair: int = 0, whole: bool = False) -> RegionalData:
        """``target`` with stratified points, two draws of ``pair`` from all pixels in a step, or the ``whole`` grid."""
        world, number = self.world, np.arange(self.size.pixels)
        held = hold_out_years(target, self.settings.validation_share, self.size.seed)
        if pair or whole:
            full = Points.of(world.region, number, world.area)
            return RegionalData(self.everywhere, full, target, "nee", draw=pair, held_out=held)
        features = np.stack(
            [one for v in world.drivers.values() for one in (v.mean(axis=0), v.std(axis=0))]
            + [*world.statics.values()],
            axis=1,
        )
        chosen = choose_points(features, world.area, world.region, self.size.points, self.size.seed)
        cells = np.unique(chosen.points.cell)
        own = replace(chosen.points, cell=np.searchsorted(cells, chosen.points.cell))
        data = RegionalData(self.series(cells, {}), own, target, "nee", held_out=held, unexplained=chosen.unexplained)
        return data.measured(self.towers_only.network, self.settings.warmup_days)

    def train(self, data: RegionalData) -> Member:
        """The network of towers, trained on with the regions of ``data``."""
        phase = Phase(
            "regions",
            steps=self.size.steps,
            synthetic=0.0,
            rate=0.5,
            terms={"regional": Ramp(TRUST, self.settings.regional_ramp)},
        )
        start = replace(self.towers_only, network=copy.deepcopy(self.towers_only.network))
        return finetune(start, self.samples, self.sites, self.settings, 0, phases=[phase], regional=data)[0]

    def withheld(self, region: int) -> RegionalData:
        """The data without one ``region``."""
        full = self.target()
        keep = np.flatnonzero(np.arange(self.size.regions) != region)
        corrections = tuple(Correction(one.name, one.totals[:, keep], one.source) for one in full.corrections)
        names = tuple(full.regions[number] for number in keep)
        part = replace(
            full, regions=names, members=full.members[:, keep], floor=full.floor[keep], corrections=corrections
        )
        data = self.data(full)
        mine = data.points.region != region
        number = np.searchsorted(keep, data.points.region[mine])
        points = Points.of(number, data.points.cell[mine], data.points.area[mine])
        assert data.held_out is not None and data.quadrature is not None
        return replace(
            data,
            target=part,
            points=points,
            held_out=data.held_out[:, keep],
            quadrature=data.quadrature[:, keep],
        )

    @cached_property
    def unseen(self) -> npt.NDArray[np.int64]:
        """Numbers of the towers that no run learns from: those of the fold."""
        hidden = set(self.towers_only.meta["hidden_sites"])
        return np.array([n for n, site in enumerate(self.sites.sets[0].sites) if site in hidden])

    def scores(self, member: Member) -> dict[str, float]:
        """What a run is judged by, on all pixels and days against the truth."""
        world, years = self.world, self.size.years
        found = predict(member.network, self.everywhere, warmup=self.settings.warmup_days)["nee"].astype(float)
        truth, sums = world.flux["nee"], self.world.sums(found)
        total, true = (part.reshape(years, 12, -1).sum(axis=(1, 2)) / 1000 for part in (sums, self._truth))
        region = (sums - self._truth).sum(axis=0) / years / 1000
        mean, real = found.mean(axis=0), truth.mean(axis=0)
        towers = world.towers[self.unseen]
        return {
            "global": float(total.mean()),
            "true_global": float(true.mean()),
            "region_rmse": float(np.sqrt(np.square(region).mean())),
            "iav_ratio": float(total.std() / true.std()),
            "iav_r": float(np.corrcoef(total, true)[0, 1]),
            "spatial_ratio": float(mean.std() / real.std()),
            "tower_rmse": float(np.sqrt(np.square(mean[towers] - real[towers]).mean())),
            "pixel_rmse": float(np.sqrt(np.square(mean - real).mean())),
        }


def permuted_chi2(twin: Twin, member: Member) -> tuple[float, float]:
    """Mean squared residual per variance of the regions of ``member``, and with the labels of regions shuffled."""
    data = twin.data(twin.target())
    order = np.roll(np.arange(twin.size.regions), twin.size.regions // 2)
    target = data.target
    corrections = tuple(Correction(one.name, one.totals[:, order], one.source) for one in target.corrections)
    other = replace(target, members=target.members[:, order], corrections=corrections)
    right, wrong = (RegionalObjective(replace(data, target=one), twin.settings.warmup_days) for one in (target, other))
    return right.chi2(member.network), wrong.chi2(member.network)


def gradient_error(twin: Twin, member: Member) -> float:
    """Largest relative difference of the gradient of the term from differences of its value, over some weights."""
    network = copy.deepcopy(member.network).double()
    objective = RegionalObjective(twin.data(twin.target()), twin.settings.warmup_days)
    batch = objective.data.batch(objective.data.years[0], twin.settings.warmup_days)
    drivers = {name: values.double() for name, values in batch.batch.drivers.items()}
    statics = {name: values.double() for name, values in batch.batch.statics.items()}
    exact = replace(batch, batch=replace(batch.batch, drivers=drivers, statics=statics))

    def value() -> torch.Tensor:
        return objective.terms(network, exact)["regional"]

    parameters = list(network.parameters())
    analytic = torch.autograd.grad(value(), parameters)
    worst = 0.0
    for weight, gradient in zip(parameters, analytic, strict=True):
        place = int(gradient.abs().argmax())
        step = 1e-4 * max(float(weight.detach().flatten()[place].abs()), 0.1)
        with torch.no_grad():
            flat = weight.view(-1)
            flat[place] += step
            high = value()
            flat[place] -= 2 * step
            low = value()
            flat[place] += step
        found, wanted = float(high - low) / (2 * step), float(gradient.flatten()[place])
        worst = max(worst, abs(found - wanted) / max(abs(wanted), 1e-9))
    return worst


def run_twin(size: Size, runs: Sequence[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every run, and the ten acceptance tests with their value, bound and whether they hold.

    ``runs`` are further ones: ``pair`` (two draws), ``decomposed``.
    """
    twin = Twin(size)
    towers = twin.towers_only
    fixed = twin.train(twin.data(twin.target()))
    members = {
        "towers alone": towers,
        "all pixels": twin.train(twin.data(twin.target(), whole=True)),
        "stratified points": fixed,
        "null": twin.train(twin.data(twin.target(sums=twin.world.sums(_flux(twin, towers))))),
        "fire left in": twin.train(twin.data(twin.target(corrected=False))),
    }
    if "pair" in runs:
        members["two draws"] = twin.train(twin.data(twin.target(), pair=size.points))
    if "decomposed" in runs:
        members["decomposed"] = twin.train(replace(twin.data(twin.target()), decompose=True))
    away = twin.train(twin.withheld(0))
    table = pd.DataFrame({name: twin.scores(member) for name, member in members.items()}).T.rename_axis("run")
    errors = [_region_error(twin, member, 0) for member in (towers, away, fixed)]
    return table.reset_index(), acceptance(table, permuted_chi2(twin, fixed), gradient_error(twin, fixed), errors)


def _flux(twin: Twin, member: Member) -> FloatArray:
    return predict(member.network, twin.everywhere, warmup=twin.settings.warmup_days)["nee"]


def _region_error(twin: Twin, member: Member, region: int) -> float:
    """Absolute error of the mean of a region [PgC yr-1]."""
    sums = twin.world.sums(_flux(twin, member))
    return float(abs((sums - twin._truth)[:, region].sum()) / twin.size.years / 1000)


def acceptance(
    table: pd.DataFrame, chi2: tuple[float, float], gradient: float, region: Sequence[float]
) -> pd.DataFrame:
    """The ten tests, of which the third has two rows.

    ``table`` has a row for each run, ``region`` errors of a region without it, with the others, and with it.
    """

    def of(run: str, score: str) -> float:
        return float(table.to_dict("index")[run][score])

    fixed = "stratified points"
    truth = of(fixed, "true_global")
    bias = abs(of("towers alone", "global") - truth)
    cut = 1 - abs(of(fixed, "global") - truth) / bias
    regions = of(fixed, "region_rmse") / of("all pixels", "region_rmse")
    years, contrast = of(fixed, "iav_ratio"), of(fixed, "spatial_ratio")
    at_towers = of(fixed, "tower_rmse") / of("towers alone", "tower_rmse")
    moved = abs(of("null", "global") - of("towers alone", "global")) / bias
    shift = of("fire left in", "global") - of(fixed, "global")
    rows = [
        ("1 share of the global bias that is cut", cut, "> 0.8", cut > 0.8),
        ("2 error of regions beside that of all pixels", regions, "< 1.5", regions < 1.5),
        ("3 variation between years beside the truth", years, "0.8 to 1.2", 0.8 <= years <= 1.2),
        ("3 its correlation", of(fixed, "iav_r"), "> 0.8", of(fixed, "iav_r") > 0.8),
        ("4 contrast in space beside the truth", contrast, "> 0.8", contrast > 0.8),
        ("5 error at unseen towers beside towers alone", at_towers, "< 2", at_towers < 2),
        ("6 null: change of the sum per bias of towers alone", moved, "< 0.05", moved < 0.05),
        ("7 fire left in: shift of the sum [PgC yr-1]", shift, "1.4 to 2.6 (fire: 2)", 1.4 < shift < 2.6),
        ("8 chi2 of shuffled regions beside the right ones", chi2[1] / chi2[0], "> 1.5", chi2[1] > 1.5 * chi2[0]),
        ("9 error of a withheld region beside towers alone", region[1] / region[0], "< 1", region[1] < region[0]),
        ("10 gradient of the sums: largest relative error", gradient, "< 0.001", gradient < 1e-3),
    ]
    return pd.DataFrame(rows, columns=["test", "value", "bound", "holds"])
