"""The model card of an ensemble (after Mitchell et al. 2019, doi:10.1145/3287560.3287596): what was trained on what,
how good it is where nobody measured, and what it must not be used for.

Everything is read from the member files and from the folder of their run. A file that is not the one that the members
were trained on, by its hash, is not used, and what is not known is said to be so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files, variables
from ..errors import InputError, counted
from ..inspect.report import plain
from ..products.about import SYNTHETIC_NOTE, About
from ..report.learning import coverage_section, emulation_section, intervals_section
from ..report.sections import Section, protocols_section
from ..report.summary import table_lines
from ..report.verdicts import NETWORK, called, judgement
from ..results import open_run
from ..style import fixed, model_name, model_order, number
from ..systems import System
from ..train.applicability import FEWEST_SITES
from ..train.member import Member, constraint_of
from ..train.splits import blocks

NOT_KNOWN = "not known: the file is not beside the members, or not the one that they were trained on"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Ensemble:
    """The members, their files and the folder of their run."""

    members: Sequence[Member]
    paths: Sequence[Path]

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Ensemble:
        """Raises :class:`~fluxatlas.errors.MemberMismatchError` for members that were held to different sums."""
        members = [Member.load(path) for path in paths]
        constraint_of(members, paths)
        return cls(members, paths)

    @property
    def system(self) -> System:
        return self.members[0].system

    @property
    def meta(self) -> Facts:
        return self.members[0].meta

    @property
    def run(self) -> Path:
        return self.paths[0].resolve().parents[2]

    def about(self) -> tuple[About | None, Facts]:
        """What the product of the run says of it, and the product's attributes; (None, {}) without a product."""
        try:
            found = open_run(self.run).about
        except InputError:
            return None, {}
        return About(**{**found["fluxatlas_about"], "constraint": None}) if found["fluxatlas_about"] else None, found

    @property
    def synthetic(self) -> bool:
        """Whether its world is made up, as the product says; without one, whether there is a table of hidden truth."""
        about, _ = self.about()
        return about.synthetic if about else (self.run / "evaluate" / "truth.csv").exists()

    def trained_on(self, name: str, *parts: str) -> Path | None:
        """The file of the run that the members were trained on as ``name``."""
        path = self.run.joinpath(*parts)
        known = {member.meta.get("inputs", {}).get(name) for member in self.members}
        return path if path.exists() and known == {files.file_hash(path)} else None

    def table(self, *parts: str) -> pd.DataFrame | None:
        path = self.run.joinpath(*parts)
        return files.read_table(path) if path.exists() else None

    def of_members(self, folder: str) -> pd.DataFrame | None:
        """The tables of all members in a folder of ``train``, one below the other."""
        found = [self.table("train", folder, f"{path.stem}.csv") for path in self.paths]
        return pd.concat([one for one in found if one is not None]) if any(one is not None for one in found) else None


def write_card(ensemble: Ensemble, text: Path, data: Path) -> None:
    """The card in words (Markdown) and for machines (JSON: ``sections`` by heading, each with ``note`` and ``rows``,
    and the raw numbers as ``facts``)."""
    sections, facts = card(ensemble)
    title = f"Model card: {About(synthetic=ensemble.synthetic).title(ensemble.system.title)}"
    lines = [f"# {title}", ""]
    for one in sections:
        lines += [f"## {one.title}", "", one.note, "", *(table_lines(one.table) if len(one.table) else []), ""]
    text.write_text("\n".join(lines), encoding="utf-8")
    words = {one.title: {"note": one.note, "rows": one.table.to_dict("records")} for one in sections}
    content = {"title": title, "sections": words, "facts": facts}
    data.write_text(json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def card(ensemble: Ensemble) -> tuple[list[Section], Facts]:
    """All sections and the numbers behind them."""
    made = [make(ensemble) for make in SECTIONS]
    return [section for section, _ in made], {name: value for _, facts in made for name, value in facts.items()}


def _purpose(e: Ensemble) -> tuple[Section, Facts]:
    rows = [
        {"flux": f.variable, "what": variables.get(f.variable).long_name, "unit": variables.get(f.variable).units}
        for f in e.system.fluxes
    ]
    note = f"{SYNTHETIC_NOTE}\n\n" if e.synthetic else ""
    note += (
        f"Daily values for {e.system.area}, system `{e.system.name}`, from the weather, {len(e.members[0].statics)} "
        f"static properties and the carried state of a place; trained for the grid {e.members[0].grid}. "
        f"The estimate is the mean of {counted(len(e.members), 'member')}."
    )
    facts = {"system": e.system.key, "grid": e.members[0].grid, "fluxes": rows, "synthetic": e.synthetic}
    return Section("What it estimates", note, pd.DataFrame(rows)), facts


def _not_for(e: Ensemble) -> tuple[Section, Facts]:
    said = [SYNTHETIC_NOTE] if e.synthetic else []
    scores = e.table("evaluate", "protocols.csv")
    verdict = judgement(scores, e.system) if scores is not None else ""
    if not verdict:
        said.append("Any use that relies on its skill: it was not evaluated at sites left out.")
    elif "bad:" in verdict or "worse than" in verdict:
        said.append(f"Any use that relies on its skill at places that nobody measured: {verdict}.")
    daily = _daily_scores(e)
    own = daily[daily["model"] == NETWORK]["r2"].median() if daily is not None else float("nan")
    if own < 0:
        said.append(
            f"The course of days at one unseen place: half of the sites left out have an R2 below {fixed(own)}."
        )
    said += [
        f"Land other than {e.system.area}, and places beyond the ranges below: statics are held at the edge, weather "
        "is extrapolated, and neither is flagged by the network itself.",
        "Other units, other time steps than a day, or days without a carried state.",
        "One member alone in the place of the ensemble: its spread is the part of the uncertainty that is known.",
    ]
    head = e.members[0].network.architecture.head
    if head != e.system.heads[0]:
        said.append(f"Products without a reason: the head '{head}' is not the default ('{e.system.heads[0]}').")
    if e.meta.get("constraint"):
        said.append("A comparison with the inversions that its sums were held to, as if it were independent of them.")
    return Section("What it must not be used for", "\n".join(f"- {one}" for one in said), pd.DataFrame()), {
        "not_for": said
    }


def _members(e: Ensemble) -> tuple[Section, Facts]:
    rows = []
    for path, member in zip(e.paths, e.members, strict=True):
        meta, theta = member.meta, member.network.theta
        forms = {name: names[int(theta[name])] for name, names in e.system.choices.items()}
        settings = meta.get("settings", {})
        seed = settings.get("seed", 0) + meta["member"] if settings and "member" in meta else "not known"
        row = {
            "member": path.stem,
            "seed": seed,
            "forms of the process model": ", ".join(f"{name} {form}" for name, form in forms.items()) or "–",
        }
        row |= {"sites of its fold": len(meta.get("hidden_sites", [])), "adapted by": meta.get("ladder") or "–"}
        count = sum(weights.numel() for weights in member.network.parameters())
        row |= {"weights": f"{count:,}", "version": f"{meta.get('version', '?')} ({meta.get('commit', '?')})"}
        rows.append({**row, "hash": files.file_hash(path)})
    a = e.members[0].network.architecture
    parts = "; ".join(f"{p.name}: {', '.join(p.outputs)}" for p in e.members[0].network.submodules)
    note = (
        f"Cells `{a.cell}` of {a.hidden} units and {counted(a.layers, 'layer')}, head `{a.head}`; "
        f"sub-networks in order: {parts}. Each has learned from all sites below. Members differ in their seed and in "
        "the forms of the process model; those that were calibrated differ also in the blocks of sites, drawn with "
        "replacement (not by the first), and in their draw of the parameters. Skill is that of models that had not "
        "seen the sites of a member's fold."
    )
    about = {**a.to_dict(), "theta": None}
    facts = {"members": rows, "architecture": about, "settings": e.meta.get("settings", {})}
    return Section("Architecture and members", note, pd.DataFrame(rows)), facts


def _pretraining(e: Ensemble) -> tuple[Section, Facts]:
    table = e.of_members("emulation")
    section = emulation_section(table, e.system) if table is not None else Section("", "", pd.DataFrame())
    facts: Facts = {"site_days": e.meta.get("site_days"), "inputs": e.meta.get("inputs", {})}
    path = e.trained_on("samples", "synthesize", "samples.nc")
    note = NOT_KNOWN
    if path:
        with files.open_netcdf(path) as data:
            first = pd.DatetimeIndex(data["first_day"].to_numpy())
            lat, lon = data["lat"].to_numpy(), data["lon"].to_numpy()
            series, days = data.sizes["site"], data.sizes["time"]
        places = len({*zip(lat.round(4), lon.round(4), strict=True)})
        facts |= {"series": series, "days": days, "places": places, "box": [lon.min(), lat.min(), lon.max(), lat.max()]}
        note = (
            f"{series:,} series of {days} days of the process model at {places:,} places between {lat.min():.2f} and "
            f"{lat.max():.2f} N, {lon.min():.2f} and {lon.max():.2f} E, years that begin {first.min().date()} to "
            f"{first.max().date()}, with {len(e.system.told)} parameters and forms drawn from their priors."
        )
        note += " The weather and soils are those of the synthetic Earth." if e.synthetic else ""
    return Section("Pretraining", f"{note} {section.note}".strip(), section.table), {"pretraining": facts}


def _sites(e: Ensemble) -> tuple[Section, Facts]:
    seen = e.meta.get("sites", [])
    distance = e.meta.get("settings", {}).get("block_distance_km", 50.0)
    lat, lon = (np.array([site[k] for site in seen], float) for k in (1, 2))
    clusters = len(set(blocks(lat, lon, distance))) if len(seen) > 1 else len(seen)
    note = f"{counted(len(seen), 'site')} in {counted(clusters, 'cluster')} ({distance:g} km apart or more)"
    note += ", of the synthetic Earth. " if e.synthetic else ". "
    rows = []
    if path := e.trained_on("observations", "ingest", "sites", "observations.parquet"):
        found = files.read_parquet(path)
        found = found[found["site"].astype(str).isin([str(site[0]) for site in seen])]
        for name in dict.fromkeys(kind.variable for kind in e.system.observations):
            here = found[found["variable"] == e.system.measured_as(name)]
            if len(here):
                days = pd.to_datetime(here["time"])
                row = {"measured": called(name, e.system), "sites": here["site"].nunique(), "days": f"{len(here):,}"}
                rows.append({**row, "first": days.min().date(), "last": days.max().date()})
    else:
        note += f"Days of observations: {NOT_KNOWN}."
    facts = {"sites": seen, "clusters": clusters, "observations": rows}
    return Section("Sites trained on", note, pd.DataFrame(rows)), facts


def _skill(e: Ensemble) -> tuple[Section, Facts]:
    scores = e.table("evaluate", "protocols.csv")
    if scores is None:
        return Section("Skill at sites left out", "Not evaluated.", pd.DataFrame()), {"skill": None}
    section = protocols_section(scores, e.system)
    verdict = judgement(scores, e.system) or "not scored at sites left out"
    note = f"In short: {verdict}. {section.note}"
    note += f" Read this with care: {e.system.truth_note}" if e.synthetic and e.system.truth_note else ""
    return Section("Skill at sites left out", note, section.table), {"skill": verdict}


def _daily_scores(e: Ensemble) -> pd.DataFrame | None:
    scores = e.table("evaluate", "site_scores.csv")
    return scores if scores is None else scores[(scores["target"] == e.system.flux) & (scores["scale"] == "daily")]


def _quartiles(e: Ensemble) -> tuple[Section, Facts]:
    title, scores = "Skill site by site", _daily_scores(e)
    if scores is None:
        return Section(title, "Not evaluated.", pd.DataFrame()), {"quartiles": None}
    rows, facts = [], []
    for model in model_order(scores["model"]):
        here = scores[scores["model"] == model]
        low, middle, high = here["r2"].quantile([0.25, 0.5, 0.75])
        words = fixed(middle) + (" (bad)" if middle < 0 else "")
        row = {"model": model_name(str(model)), "sites": len(here), "R2, lower quartile": fixed(low)}
        row |= {"R2, median": words, "R2, upper quartile": fixed(high), "median RMSE": number(here["rmse"].median())}
        rows.append({**row, "sites with R2 below 0": f"{(here['r2'] < 0).sum()} of {len(here)}"})
        facts.append({"model": str(model), "sites": len(here), "r2": [low, middle, high]})
    name = called(e.system.flux, e.system)
    note = f"Quartiles over sites of the scores of days, {name}. Below 0 the mean of the site itself does better: bad."
    return Section(title, note, pd.DataFrame(rows)), {"quartiles": facts}


def _intervals(e: Ensemble) -> tuple[Section, Facts]:
    table = e.of_members("intervals")
    if table is None:
        return Section("Do the intervals hold what was measured?", "Not evaluated.", pd.DataFrame()), {}
    return intervals_section(table, e.system), {}


def _coverage(e: Ensemble) -> tuple[Section, Facts]:
    table = e.table("evaluate", "coverage.csv")
    if table is None:
        return Section("Intervals at unseen places", "Not evaluated.", pd.DataFrame()), {"coverage": None}
    mine = table[(table["model"] == "network") & (table["target"] == e.system.flux)].set_index("what")
    widths = {str(what): None if width != width else float(width) for what, width in mine["half_width"].items()}
    return coverage_section(table, e.system), {"coverage": widths}


def _applicability(e: Ensemble) -> tuple[Section, Facts]:
    known = [member.applicability for member in e.members]
    layers = [one for one in known if one is not None]
    if not layers:
        return Section("Where it applies", "Not judged: no sample was as long as a year.", pd.DataFrame()), {}
    points = [len(one.points) for one in layers]
    judged = any(np.isfinite(one.threshold) for one in layers)
    who = f"{counted(max(points), 'site')} with observations of the first flux"
    near = f"alike one of {who}" if judged else f"not judged: {who}, fewer than {FEWEST_SITES} independent ones"
    note = (
        "Inside the library of samples: climate within the ranges below (units as for the inputs; precipitation as the "
        f"square root of its mean). Near observations: {near}. `fluxatlas predict` says both of a place; the ONNX "
        "files do not."
    )
    one = layers[0]
    rows = [
        {"of the climate": n, "lowest": number(low), "highest": number(high)}
        for n, low, high in zip(one.names, one.low, one.high, strict=True)
        if np.isfinite(low)
    ]
    return Section("Where it applies", note, pd.DataFrame(rows)), {"near_judged": judged, "points": points}


def _inputs(e: Ensemble) -> tuple[Section, Facts]:
    path = e.trained_on("samples", "synthesize", "samples.nc")
    scaler, rows = e.members[0].network.scaler, []
    names = (*e.members[0].drivers, *e.members[0].statics)
    seen: dict[str, tuple[float, float]] = {}
    if path:
        with files.open_netcdf(path) as data:
            seen = {n: (float(data[n].min()), float(data[n].max())) for n in names if n in data}
    for name in names:
        row = variables.get(name)
        if not path and name in scaler.position:
            ends = scaler.unscale(name, scaler.mean.new_tensor([-2.0, 2.0])).tolist()
            seen[name] = (ends[0], ends[1])
        low, high = (number(x) for x in seen.get(name, (float("nan"), float("nan"))))
        kind = "static" if name in e.members[0].statics else "daily"
        rows.append({"input": name, "what": row.long_name, "unit": row.units, "kind": kind, "from": low, "to": high})
    how = "smallest and largest value in the samples" if path else "mean less and plus two standard deviations"
    return Section("Inputs and the ranges seen", f"From, to: {how}.", pd.DataFrame(rows)), {"inputs_seen": seen}


def _origin(e: Ensemble) -> tuple[Section, Facts]:
    about, attributes = e.about()
    held = About(constraint=e.meta.get("constraint")).held_to or "Sums over regions were not held to anything."
    licence = attributes.get("license") or "not stated: the run has no product"
    cited = list(about.inputs) if about else []
    lines = [held, f"Licence: {licence}.", f"Weather and observations of {' to '.join(e.meta.get('span', ['?']))}."]
    known = cited or ["Inputs and citations: not stated without a product."]
    note = "\n".join(f"- {line}" for line in [*lines, *known])
    facts = {"constraint": e.meta.get("constraint"), "licence": licence, "citations": cited}
    return Section("Constraint, licence, citations", note, pd.DataFrame()), facts


SECTIONS: tuple[Callable[[Ensemble], tuple[Section, Facts]], ...] = (
    _purpose,
    _not_for,
    _members,
    _pretraining,
    _sites,
    _skill,
    _quartiles,
    _intervals,
    _coverage,
    _applicability,
    _inputs,
    _origin,
)
