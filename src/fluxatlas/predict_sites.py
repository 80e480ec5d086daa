"""``fluxatlas predict``: what trained members say of places, day by day, from raw files of sites to series with a band.

The files and tables are those of :mod:`fluxatlas.evaluate_sites`; nothing need be measured but the weather.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from . import variables
from .config.evaluate import EvaluateBlock
from .config.report import ReportBlock
from .constants import NORMAL_90
from .errors import InputError, counted
from .evaluate.held_out import half_widths
from .evaluate_sites import Wish, begin, build_table, entries, member_paths, site_data
from .files import read_table
from .infer.statistics import uncertainty
from .style import COLORS, FAINT, INK, WIDTH, house_style, save, unit
from .systems import System
from .train.applicability import of_ensemble, site_features
from .train.data import FloatArray, SequenceSet
from .train.flags import INSIDE, MEANINGS, NEAR, OUTSIDE, UNJUDGED
from .train.member import Member
from .train.predict import predict


def run(wish: Wish) -> pd.DataFrame:
    """Write ``<site>.csv`` and ``<site>.png`` of every site and ``sites.csv`` to ``wish.output``; returns the latter.

    Raises what :func:`fluxatlas.evaluate_sites.run` raises, and :class:`InputError` where the folder holds the series
    of sites that are not among these; nothing is written then.
    """
    members, annual = begin(wish)
    near_km = EvaluateBlock().cluster_distance_km
    _say_of_the_band(members)
    half = half_widths(member_paths(wish.members), members, near_km)
    with tempfile.TemporaryDirectory() as temporary:
        work, made = Path(temporary), Path(temporary) / "made"
        made.mkdir()
        build_table(entries(wish, work), members[0].system, work / "sites")
        data = site_data(wish, members[0], work, near_km, annual, unobserved=True)
        places = read_table(work / "sites_attributes.csv").set_index("site")
        _refuse_others(wish.output, data.sets)
        rows = []
        for part in data.sets:
            verdicts = judge(members, part)
            for site, series in site_series(members, part):
                _say_of_gaps(site, part)
                series.to_csv(made / f"{_file_name(site)}.csv", index=False, float_format="%.6g")
                _draw(site, series, members[0].system, str(verdicts.loc[site, "applicable"]), made)
                rows.append({"site": site, **places.loc[site], **verdicts.loc[site], "days": len(series)})
        table = pd.DataFrame(rows)
        table.to_csv(made / "sites.csv", index=False, float_format="%.6g")
        _units(members[0].system, half).to_csv(made / "units.csv", index=False, float_format="%.6g")
        wish.output.mkdir(parents=True, exist_ok=True)
        for path in sorted(made.iterdir()):
            shutil.move(path, wish.output / path.name)
    return table


def _refuse_others(folder: Path, sets: Sequence[SequenceSet]) -> None:
    """Raise :class:`InputError` where ``folder`` holds series of other sites, which ``sites.csv`` would not list."""
    if (folder / "sites.csv").is_file():
        others = sorted(set(read_table(folder / "sites.csv")["site"]) - {site for part in sets for site in part.sites})
        if others:
            said = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
            hint = "give another --output, or remove the folder"
            raise InputError(f"the folder holds predictions of other sites ({said})", where=str(folder), hint=hint)


def _say_of_the_band(members: Sequence[Member]) -> None:
    """Say what the band lacks."""
    places = any(member.meta.get("places") for member in members)
    if len(members) == 1:
        holds = "the band holds what places differ by alone" if places else "there is no band"
        print(f"warning: one member: {holds}", file=sys.stderr, flush=True)
    elif not places:
        print("warning: the members do not know what places differ by: the band is too narrow", file=sys.stderr)


def _say_of_gaps(site: str, data: SequenceSet) -> None:
    """Name the stretches that begin from a state that is not that of the days before."""
    number = data.sites.index(site)
    later = [data.dates[start] for where, start, _ in data.segments if where == number][1:]
    if later:
        when = ", ".join(str(day.date()) for day in later[:5]) + (", ..." if len(later) > 5 else "")
        text = (
            f"{site}: {counted(len(later), 'gap')} in its days; soil state begins anew, uncertain for weeks, on {when}"
        )
        print(text, file=sys.stderr, flush=True)


def _units(system: System, half: Mapping[str, float]) -> pd.DataFrame:
    """Unit and name of every column of a series, and the distance from it that holds 90 % of the days of sites that
    were held out in training (``half``)."""
    drivers = (*system.forcing, *system.slow_drivers)
    rows = [variables.get(name) for name in dict.fromkeys((*system.outputs, *drivers))]
    table = pd.DataFrame([{"variable": row.name, "units": row.units, "long_name": row.long_name} for row in rows])
    return table.assign(half_width_90=table["variable"].map(half).astype(float))


def judge(members: Sequence[Member], data: SequenceSet) -> pd.DataFrame:
    """``dissimilarity``, ``point_density`` and ``applicable`` (in words) by site, as the product has them."""
    beyond = np.zeros(len(data.sites), bool)
    for member in members:
        statics = {name: torch.as_tensor(values) for name, values in data.statics.items()}
        for mask in member.network.beyond(statics).values():
            beyond |= mask.numpy()
    found = of_ensemble([member.applicability for member in members], site_features(data, members[0].system), beyond)
    words = dict(zip((UNJUDGED, OUTSIDE, INSIDE, NEAR), MEANINGS.split(), strict=True))
    table = pd.DataFrame(found._asdict(), index=pd.Index(data.sites, name="site"))
    return table.assign(applicable=[words[int(flag)] for flag in found.applicable])


def site_series(members: Sequence[Member], data: SequenceSet) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each site with its days: ``time``, the mean over members of every output, of fluxes also ``<flux>_sd``,
    ``<flux>_low``, ``<flux>_high``, what was measured (``<variable>_observed``), and the drivers as they were used.

    ``sd`` is that of the product: the standard deviation over members, and what places differ by that are alike in all
    that is known; the band is the mean less and plus 1.64 of it, within
    the valid range. Days without complete drivers are left out.
    """
    system = members[0].system
    made = [predict(member.network, data) for member in members]
    stacked = {name: np.stack([outputs[name] for outputs in made]) for name in system.outputs if name in made[0]}
    spread = {
        name: uncertainty(stacked[name], np.array([m.meta.get("places", {}).get(name, (0.0, 0.0)) for m in members]))
        for name in system.flux_names
        if name in stacked
    }
    for number, site in enumerate(data.sites):
        columns: dict[str, Any] = {"time": data.dates}
        for name, values in stacked.items():
            columns |= _columns(name, values[:, :, number].mean(axis=0), spread.get(name), number)
        for name, values in data.targets.items():
            if name not in data.overrides and np.isfinite(values[:, number]).any():
                columns[f"{name}_observed"] = values[:, number]
        for name, values in {**data.drivers, **data.overrides}.items():
            columns[name] = values[:, number]
        table = pd.DataFrame(columns)
        yield site, table[np.isfinite(table[system.flux])].reset_index(drop=True)


def _columns(name: str, mean: FloatArray, spread: FloatArray | None, site: int) -> dict[str, FloatArray]:
    if spread is None:
        return {name: mean}
    sd = spread[:, site]
    half = NORMAL_90 * sd
    least, most = variables.get(name).valid
    edges = {f"{name}_low": np.maximum(mean - half, least), f"{name}_high": np.minimum(mean + half, most)}
    return {name: mean, f"{name}_sd": sd, **edges}


def _file_name(site: str) -> str:
    """``site`` as the name of a file; raises :class:`InputError` where it cannot be one."""
    if site in (".", "..", "sites", "units") or any(character in site for character in "/\\\0"):
        raise InputError(f"site '{site}' cannot be the name of a file", hint="rename it in the table of sites")
    return site


def _draw(site: str, series: pd.DataFrame, system: System, applicable: str, folder: Path) -> None:
    """The fluxes of a site with their band and what was measured."""
    settings = ReportBlock()
    with house_style(settings):
        save(_figure(site, series, system, applicable.replace("_", " ")), folder / f"{_file_name(site)}.png", settings)


def _figure(site: str, series: pd.DataFrame, system: System, applicable: str) -> Figure:
    fluxes = [flux for flux in system.fluxes if flux.variable in series]
    figure, axes = plt.subplots(len(fluxes), 1, figsize=(WIDTH, 0.7 + 1.9 * len(fluxes)), sharex=True, squeeze=False)
    for axis, flux in zip(axes[:, 0], fluxes, strict=True):
        name = flux.variable
        axis.fill_between(
            series["time"], series[f"{name}_low"], series[f"{name}_high"], color=COLORS[0], alpha=0.2, linewidth=0
        )
        axis.plot(series["time"], series[name], color=COLORS[0], label="mean of the members")
        if f"{name}_observed" in series:
            axis.plot(series["time"], series[f"{name}_observed"], ".", color=INK, markersize=2.5, label="measured")
        axis.axhline(0, color=FAINT, linewidth=0.7)
        axis.set_ylabel(f"{flux.label}\n({unit(variables.get(name).units)})")
    axes[0, 0].set_title(f"{site}: {applicable}", parse_math=False)
    axes[0, 0].legend(loc="best")
    return figure
