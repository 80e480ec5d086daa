"""The formats of atmospheric inversions: which variable, which unit, and what the flux contains.

Each fact has a tag: [V] read from the provider's description or from public code that reads the files, [R] recalled.
A unit in the file takes precedence over the one here, which is for files without a label. All are positive to the
atmosphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Step = Literal["month", "day", "hours"]


@dataclass(frozen=True)
class InversionKind:
    """One format.

    ``variables``: the net land flux, the first that a file holds; ``unit``: where a file has no label (empty: refuse);
    ``step`` of a file with a single time; ``fire``: variables of the fire flux where it is separate; ``names``: what
    tells the format from others that share its variable, in file name or attributes; ``lateral_in``: variables without
    lateral transport; ``plausible``: bounds of the global land sum [PgC yr-1]; ``mass_is_carbon``: a label like
    ``g m-2 d-1`` means carbon.
    """

    title: str
    variables: tuple[str, ...]
    unit: str
    fire_included: bool
    fossil_adjusted: bool
    citation: str
    step: Step = "month"
    fire: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    lateral_in: tuple[str, ...] = ()
    plausible: tuple[float, float] = (-6.0, 2.0)
    mass_is_carbon: bool = False
    contains: str = "net land flux without fossil fuel and cement"


KINDS: dict[str, InversionKind] = {
    # names of GCB2022 and GCB2023-2024 in public code [V], unit [V]; the river-adjusted field is in GCB2022 only [V]
    "gcb": InversionKind(
        "Global Carbon Budget inversion ensemble",
        ("land_flux_only_fossil_cement_adjusted",),
        "PgC m-2 yr-1",
        fire_included=True,
        fossil_adjusted=True,
        citation="Luijkx et al. (2024), doi:10.18160/4M52-VCRU",
        lateral_in=("land_flux_fossil_cement_and_river_adjusted",),
    ),
    # variables, unit, dimensions [V]; monthly files CT2022.flux1x1.YYYYMM.nc, 3-hourly ones YYYYMMDD [V]
    "carbontracker": InversionKind(
        "CarbonTracker",
        ("bio_flux_opt", "bio_flux_optimized"),
        "mol m-2 s-1",
        fire_included=False,
        fossil_adjusted=False,
        citation="Jacobson et al. (2023), CT2022, doi:10.25925/z1gj-3254",
        fire=("fire_flux_imp", "fire_flux_imposed"),
        contains="net ecosystem exchange without fire and fossil fuel",
    ),
    # variables, units, cell_area, regional file with region_mask and region_area [V]
    "carbontracker_europe": InversionKind(
        "CarbonTracker Europe",
        ("biosphere_flux_optimized",),
        "mol m-2 s-1",
        fire_included=False,
        fossil_adjusted=False,
        citation="van der Laan-Luijkx et al. (2017), doi:10.5194/gmd-10-2785-2017",
        fire=("fire_flux_imposed",),
        contains="net ecosystem exchange without fire and fossil fuel",
    ),
    # variables, area, file names [V]; unit [V] in the code of others, its label in the file [R]
    "cams": InversionKind(
        "CAMS CO2 inversion",
        ("flux_apos_bio",),
        "kgC m-2 month-1",
        fire_included=True,
        fossil_adjusted=False,
        citation="Chevallier et al. (2010), doi:10.1029/2010JD013887",
    ),
    # variables, unit per cell, mtime, dxyp, 72 x 48 cells [V]; grid of newer runs [R]
    "carboscope": InversionKind(
        "Jena CarboScope",
        ("co2flux_land",),
        "PgC yr-1",
        fire_included=True,
        fossil_adjusted=False,
        citation="Rödenbeck et al. (2018), doi:10.5194/bg-15-2481-2018",
        step="day",
    ),
    # land, ocean, net, start_date, file names [V]; unit [V] in the code of others
    "oco2_mip": InversionKind(
        "OCO-2 v10 MIP",
        ("land",),
        "gC m-2 yr-1",
        fire_included=True,
        fossil_adjusted=False,
        citation="Byrne et al. (2023), doi:10.5194/essd-15-963-2023",
        names=("gridded_fluxes", "oco2", "oco-2", "v10mip"),
    ),
    # bio_monthly_opt with unit, nmonth, no time variable [V, the code that writes it]; bio_opt, datetime [V], unit [R]
    "gcas": InversionKind(
        "GCASv2 / GCAS2021",
        ("bio_monthly_opt", "bio_opt"),
        "",
        fire_included=False,
        fossil_adjusted=False,
        citation="Jiang et al. (2022), doi:10.5194/essd-14-3013-2022",
        fire=("fire_monthly_opt", "fire_monthly_org", "fire_opt", "fire"),
        contains="net ecosystem exchange without fire and fossil fuel",
    ),
    # components and resolution [V]; names of the variables not verified [R]: found by NEE/bio and posterior/optimised
    "gongga": InversionKind(
        "GONGGA",
        ("*posterior*",),
        "",
        fire_included=False,
        fossil_adjusted=False,
        citation="Jin et al. (2024), doi:10.5194/essd-16-2857-2024",
        fire=("*fire*",),
        names=("gongga",),
        contains="net ecosystem exchange without fire and fossil fuel",
    ),
    # flux, Lat, Lon, file name [V]; NBE with fire [V, paper]; unit and time axis [R]
    "cms_flux": InversionKind(
        "CMS-Flux NBE",
        ("NBE", "nbe", "post-NBE", "flux"),
        "gC m-2 d-1",
        fire_included=True,
        fossil_adjusted=False,
        citation="Liu et al. (2021), doi:10.5194/essd-13-299-2021",
        names=("cms-flux", "cms_flux", "cmsflux"),
    ),
    # NEE per day and cell of land, hourly to monthly aggregates [R]; not an inversion: other bounds of the global sum
    "fluxcom": InversionKind(
        "FLUXCOM and FLUXCOM-X-BASE (no inversion, same loader)",
        ("NEE",),
        "gC m-2 d-1",
        fire_included=False,
        fossil_adjusted=True,
        citation="Nelson and Walther et al. (2024), doi:10.5194/bg-21-5079-2024; Jung et al. (2020)",
        names=("fluxcom", "x-base", "xbase", "nee_"),
        plausible=(-25.0, 2.0),
        mass_is_carbon=True,
        contains="net ecosystem exchange as towers see it, per area of land [R]",
    ),
}
"""``lateral`` of every kind is 'not removed', except for the variables in ``lateral_in`` and for fluxcom."""

FIRE = "flux of fires"
"""What a constraint file that is made of a fire flux alone says of its content."""

MASKS = {"*posterior*": (("nee", "bio", "nbe"), ("post", "opt", "apos")), "*fire*": (("fire", "bb", "burn"), ())}
"""Variables found by words in their names: one of the first words and, if there are any, one of the second."""


def pick(variables: tuple[str, ...], held: list[str]) -> list[str]:
    """Those of ``held`` that are one of ``variables``: the first exact one, or all that fit a mask."""
    exact = [name for name in variables if name in held]
    if exact:
        return exact[:1]
    return [
        name
        for mask in variables
        if mask in MASKS
        for name in held
        if all(any(word in _plain(name) for word in words) for words in MASKS[mask] if words)
        and not any(word in name.lower() for word in ("unc", "sd", "std", "err", "prior", "apri"))
    ]


def _plain(name: str) -> str:
    """``name`` in lower case, without the ``bio`` of biomass, which is not the biosphere."""
    return name.lower().replace("biomass", "mass")
