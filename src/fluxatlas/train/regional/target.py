"""What the sums of regions are compared with: fluxes of inversions, converted to what the network predicts.

An inversion sees every exchange of carbon with the land except the fossil emissions that were subtracted: fire, rivers,
harvest that is eaten elsewhere. A tower sees none of these. Two corrected quantities exist, and a run has one of them
(:data:`PRESETS`; the specification is ours, consistent with what is published, not a transcription).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...config.regional import PRESETS
from ...errors import InputError, counted, nearest
from ...ingest.constraints.kinds import FIRE
from ..operators.readers import SPREAD

FloatArray = npt.NDArray[np.floating[Any]]
Months = npt.NDArray[np.datetime64]
Kind = Literal["land_sink", "ecosystem"]
Part = Literal["month", "mean", "season", "anomaly"]

SIGNED = ("trade", "chemistry")
"""Corrections whose global sum may have either sign; all others are positive: sources, or exports."""
ERROR = {"fire": 0.25, "fossil": 0.05}
"""Relative standard error of corrections (fire: 50 % are two standard deviations, as the makers of GFED say)."""
ERROR_OF_OTHERS = 0.3
DECOMPOSED: tuple[Part, ...] = ("mean", "season", "anomaly")
MONTHS = 12
YEARS_FOR_PARTS = 3
"""Years that a decomposition into mean, season and anomaly needs."""


@dataclass(frozen=True, eq=False)
class Correction:
    """A flux that is taken from the inversion (or, exports, added): ``totals`` (month, region) in the unit of the
    target, positive where carbon is released to the atmosphere, or leaves the region; ``source`` says what it is.
    """

    name: str
    totals: FloatArray
    source: str = ""

    @property
    def error(self) -> float:
        """Relative standard error."""
        return ERROR.get(self.name, ERROR_OF_OTHERS)


@dataclass(frozen=True, eq=False)
class RegionalTarget:
    """Totals of regions and months that the network is held to, positive to the atmosphere, mass per month.

    ``members`` (month, region, member), corrected; ``corrections`` as they were applied; ``floor`` (region,) is the
    error that all members share. ``about`` are plain values for the metadata of the member.
    """

    kind: Kind
    month: Months
    regions: tuple[str, ...]
    members: FloatArray
    floor: FloatArray
    corrections: tuple[Correction, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> FloatArray:
        """Mean over the members (month, region)."""
        return np.asarray(self.members.mean(axis=-1))

    def operator(self, part: Part, counts: npt.NDArray[np.bool_]) -> FloatArray:
        """The linear operator (row, month) that makes ``part`` of a series of months; ``counts`` (month,) enter.

        ``month``: the months themselves; ``mean`` over the years; ``season``: mean of each calendar month less the
        mean; ``anomaly``: departure from the mean of the calendar month. Rows of months that do not count are 0.
        """
        number = np.flatnonzero(counts)
        own = np.eye(self.month.size)[number]
        if part == "month":
            return own
        calendar = self.month[number].astype(int) % MONTHS
        there = np.unique(calendar)
        season = np.stack([own[calendar == one].mean(axis=0) for one in there])
        if part == "mean":
            return season.mean(axis=0, keepdims=True)
        if part == "season":
            return season - season.mean(axis=0)
        return own - season[np.searchsorted(there, calendar)]

    def variance(self, region: int, operator: FloatArray, quadrature: FloatArray | None = None) -> FloatArray:
        """Variance (row,) of the errors of what ``operator`` (row, month) makes of a ``region``.

        That of the members, widened (:data:`~fluxatlas.train.operators.readers.SPREAD`) and by the error of the mean of
        M members (1 + 1/M); the floor; errors of the corrections, which last; and ``quadrature`` (month,), the standard
        deviation of a month's sum from few points.
        """
        members = self.members.shape[-1]
        found = np.full(len(operator), float(self.floor[region]) ** 2)
        if members > 1:
            parts = operator @ self.members[:, region]
            found += SPREAD**2 * (1 + 1 / members) * parts.var(axis=-1, ddof=1)
        for one in self.corrections:
            found += np.square(one.error * (operator @ one.totals[:, region]))
        if quadrature is not None:
            found += np.square(operator) @ np.square(quadrature)
        return found

    def cut(self, month: Months) -> RegionalTarget:
        """The target in those of its months that are among ``month``."""
        keep = np.isin(self.month, month)
        corrections = tuple(Correction(one.name, one.totals[keep], one.source) for one in self.corrections)
        return RegionalTarget(
            self.kind, self.month[keep], self.regions, self.members[keep], self.floor, corrections, self.about
        )


def compose(
    kind: str,
    month: Months,
    regions: Sequence[str],
    members: FloatArray,
    floor: float | FloatArray,
    content: Mapping[str, Any],
    corrections: Sequence[Correction],
    without: Sequence[str] = (),
    where: str = "",
) -> RegionalTarget:
    """The target of preset ``kind`` from the ``members`` (month, region, member) of inversions.

    ``content`` are the attributes of the constraint file (``sign``, ``fire_included``, ``fossil_adjusted``,
    ``lateral``); ``without`` names groups (``fire``, ``lateral``) that are knowingly not corrected. Raises
    :class:`InputError` where sign, fire or lateral convention, corrections and preset do not fit, where a month is
    missing, and for a correction of the wrong sign or size.
    """
    if kind not in PRESETS:
        raise InputError(
            f"there is no target '{kind}'{nearest(kind, PRESETS)}", hint=f"choose from {', '.join(PRESETS)}"
        )
    _whole(month, regions, members, where)
    refuse_misfit(kind, content, [one.name for one in corrections], set(without), where)
    corrected = np.asarray(members, float).copy()
    for one in corrections:
        _check(one, members)
        sign = 1.0 if one.name in ("river_export", "trade") else -1.0
        corrected += sign * one.totals[..., None]
    shared = np.broadcast_to(np.asarray(floor, float), (len(regions),))
    if not (shared > 0).all():
        raise InputError(
            "the error that all inversions share is not positive", where=where, hint="give 'floor' above 0"
        )
    about = _about(kind, content, corrections, without)
    preset: Kind = "land_sink" if kind == "land_sink" else "ecosystem"
    return RegionalTarget(preset, month, tuple(regions), corrected, shared, tuple(corrections), about)


def _whole(month: Months, regions: Sequence[str], members: FloatArray, where: str) -> None:
    """Refuse gaps between months, and members with gaps: a change of their number is a false trend."""
    if month.size < 1 or (np.diff(month.astype(int)) != 1).any():
        absent = sorted(set(np.arange(month.min(), month.max() + 1)) - set(month)) if month.size else []
        listed = ", ".join(map(str, absent[:6]))
        missing = (
            f"{counted(len(absent), 'month')} between others {'is' if len(absent) == 1 else 'are'} missing: {listed}"
        )
        raise InputError(
            missing if absent else "months are not in order, or twice" if month.size else "it has no month",
            where=where,
            hint="complete the files, or cut 'first_year' and 'last_year' to the years that are whole",
        )
    lacking = ~np.isfinite(members)
    if lacking.any():
        when, region, _ = np.argwhere(lacking)[0]
        raise InputError(
            f"{int(lacking.any(axis=(0, 1)).sum())} of {counted(members.shape[-1], 'member')} lack values, first in "
            f"{month[when]} in region '{regions[region]}': a jump in their number would be a false trend",
            where=where,
            hint="cut the years to those that all members have, or leave members out",
        )


def refuse_misfit(kind: str, content: Mapping[str, Any], given: Sequence[str], without: set[str], where: str) -> None:
    """Raise :class:`InputError` where preset ``kind`` and corrections ``given`` do not fit what the flux contains."""

    def refuse(what: str, hint: str) -> None:
        raise InputError(what, where=where, hint=hint)

    def has(name: str) -> bool:
        return str(content.get(name, "")).lower() in ("true", "1")

    strange = [name for name in given if name not in PRESETS[kind]]
    if strange:
        others = [name for name in PRESETS if strange[0] in PRESETS[name]]
        belongs = f"it belongs to '{others[0]}'; the two are never mixed" if others else "there is none of that name"
        refuse(f"the correction '{strange[0]}' is not one of target '{kind}'", f"{belongs}: {', '.join(PRESETS[kind])}")
    if len(set(given)) < len(given):
        refuse(f"corrections are given twice: {', '.join(given)}", "give each once")
    if content.get("sign") != "positive_to_atmosphere":
        refuse(
            f"the sign of the fluxes is '{content.get('sign', 'not stated')}'", "make the file by `ingest constraint`"
        )
    if content.get("content") == FIRE:
        refuse(
            f"these are the fluxes of fires ('{content.get('source_variable', '')}'), not the net flux of an inversion",
            "give them as the correction 'fire', and a set of net fluxes as the inversions",
        )
    fire = has("fire_included")
    if kind == "ecosystem" and fire and "fire" not in given and "fire" not in without:
        refuse(
            "the fluxes of the inversion hold fire, which no tower sees, and no fire flux is given to take out",
            "give the correction 'fire' that the inversion prescribes, or take a target 'land_sink'",
        )
    if not fire and "fire" in given:
        refuse("the fluxes of the inversion are without fire: it would be taken out twice", "leave the correction out")
    if kind == "land_sink" and not fire and "fire" not in without:
        refuse(
            "the fluxes of the inversion are without fire, which the land sink includes",
            "make the constraint with 'add_fire: true', or say 'without: [fire]'",
        )
    if has("fossil_adjusted") and "fossil" in given:
        refuse("the fluxes are adjusted to common fossil emissions already", "leave 'fossil' out")
    if "removed" in str(content.get("lateral", "")).replace("not removed", "") and "river_export" in given:
        refuse("rivers are removed from these fluxes already", "leave 'river_export' out")
    lateral = [name for name in given if name not in ("fossil", "fire", "chemistry")]
    adjusted = str(content.get("lateral", "not removed")) != "not removed"
    if not lateral and not adjusted and "lateral" not in without:
        refuse(
            f"no lateral flux is given for target '{kind}'",
            f"give one or more of {', '.join(PRESETS[kind][2:])}, or say 'without: [lateral]'",
        )


def _check(one: Correction, members: FloatArray) -> None:
    """Refuse a correction of another shape, with gaps, of the wrong sign, or of the size of another unit."""
    if one.totals.shape != members.shape[:2] or not np.isfinite(one.totals).all():
        raise InputError(
            f"the correction '{one.name}' has no value in some region or month",
            where=one.source,
            hint="give all months of the inversions, or twelve for every year",
        )
    total = float(one.totals.sum())
    if one.name not in SIGNED and total < 0:
        raise InputError(
            f"the sum of '{one.name}' is negative",
            where=one.source,
            hint="corrections are positive where carbon is released, or leaves the region: turn the sign",
        )
    gross = float(np.abs(members).mean(axis=-1).sum())
    if abs(total) > 100 * gross or (0 < abs(total) < 1e-6 * gross):
        raise InputError(
            f"the sum of '{one.name}' is {abs(total) / gross:.1g} of that of the inversions",
            where=one.source,
            hint="fluxes are in g m-2 d-1 of carbon: check unit and species (44/12)",
        )


def _about(
    kind: str, content: Mapping[str, Any], corrections: Sequence[Correction], without: Sequence[str]
) -> dict[str, Any]:
    """What the product says of the flux: name, sign, how it is summed, what it contains."""
    given = {one.name for one in corrections}
    fire = str(content.get("fire_included", "")).lower() in ("true", "1") and "fire" not in given
    lateral = "lateral" not in without
    if kind == "ecosystem":
        name = "NEE"
        meaning = "net ecosystem exchange of CO2 as carbon: photosynthesis and respiration where they happen"
    elif lateral and fire:
        name, meaning = (
            "-NBP",
            "loss of carbon from the stocks of the region (net biome production with the sign turned)",
        )
    else:
        name, meaning = "NBE", "net biosphere exchange of CO2 as carbon with the atmosphere"
    meaning += "; fire included" if fire else "; fire not included"
    if not lateral:
        meaning += "; not corrected for lateral transport"
    return {
        "flux_name": name,
        "flux_meaning": meaning,
        "flux_sign": "positive to the atmosphere",
        "flux_cell_methods": "area: sum time: sum (region-months that training was held to)",
        "target_kind": kind,
        "target_corrections": ", ".join(
            f"{one.name} ({one.source})" if one.source else one.name for one in corrections
        ),
        "target_without": ", ".join(without),
        "target_content": str(content.get("content", "")),
        "target_source": str(content.get("title", "")),
    }
