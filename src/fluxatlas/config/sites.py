"""The block ``sites`` of the configuration: which tower and chamber files are read, how, and how they are screened."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .. import variables
from .base import Block, UnitOverride
from .leaves import leaf
from .synthetic_earth import YIELDS


def in_metres(depths: Iterable[float]) -> list[float]:
    """Those of ``depths`` that would be within a centimetre of the surface if they were in cm: metres, most likely."""
    return sorted({depth for depth in depths if 0 < depth < 1})


class SiteInfo(Block):
    """Facts on one site that its data file does not state (or states wrongly)."""

    site: str = Field(min_length=1)
    """Site id in the site table, such as US-Wkg."""
    name_in_file: str | None = None
    """How the data file (or its name) calls the site, where that differs from the id."""
    lat: float = Field(ge=-90, le=90)
    """Latitude in degrees north."""
    lon: float = Field(ge=-180, le=180)
    """Longitude in degrees east."""
    elevation: float | None = Field(None, ge=-500, le=9000)
    """Height above sea level in m."""
    igbp: str | None = None
    """IGBP land cover class, such as GRA."""
    utc_offset: float | None = Field(None, ge=-12, le=14)
    """Standard time minus UTC in hours; estimated as longitude / 15 where nobody states it."""

    @field_validator("lon", mode="before")
    @classmethod
    def _east(cls, lon: Any) -> Any:
        if isinstance(lon, int | float) and 180 < lon <= 360:
            raise ValueError(f"longitudes are from -180 to 180 degrees east, so write {lon - 360:g} instead of {lon:g}")
        return lon


class TableColumns(Block):
    """What the columns of a chamber table in a layout of its own are."""

    columns: dict[str, str] = Field(min_length=1)
    """Column of the file by what it is called in the plain chamber table (docs/sites.md), and datetime_local for times
    or dates in the site's own standard time."""
    constants: dict[str, str | float] = {}
    """What is the same in all rows, such as {site: XX-Abc, flux_unit: nmol m-2 s-1, flux_sign: upward_positive}."""
    only: dict[str, list[str]] = {}
    """Rows that are read: values by column of the file, such as {treatment: [control]}."""
    time_format: str | None = None
    """How times are written, as for strptime, such as '%m/%d/%Y %H:%M'; without it ISO 8601."""

    @model_validator(mode="after")
    def _each_from_one_place(self) -> TableColumns:
        if both := sorted(set(self.columns) & set(self.constants)):
            raise ValueError(f"'{both[0]}' stands under 'columns' and under 'constants'; keep one of the two")
        return self


_DEPTHS = (
    *("plumber2", "ismn", "chambers", "cosore", "voigt", "stdfmt", "rsofun", "srdb", "xmethanewet", "metaflux"),
    *("cardamom", "treat", "uscrn", "literature_means"),
)
_OTHERS = ("fluxnet", "ameriflux", "ameriflux_l2")
_PERIODS = "whose records become means of periods, not sites"
UNUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "temperature_depths": (_DEPTHS, "whose files state the depths of sensors or have none"),
    "moisture_depths": (_DEPTHS, "whose files state the depths of sensors or have none"),
    "encoding": (("plumber2",), "whose files hold no text"),
    **dict.fromkeys(("metadata", "attributes", "sites", "use"), (("srdb",), _PERIODS)),
    "closure": (
        ("ameriflux_l2", *(name for name in _DEPTHS if name != "plumber2")),
        "whose files do not hold net radiation, ground, latent and sensible heat, measured and corrected",
    ),
    "table": ((*_OTHERS, *_DEPTHS[:2], *_DEPTHS[3:]), "whose columns are known"),
}
"""Fields of an entry that some sources cannot use: the sources, and why."""


class SiteEntry(Block):
    """One source of sites."""

    source: Literal[
        "fluxnet",
        "ameriflux",
        "ameriflux_l2",
        "plumber2",
        "ismn",
        "chambers",
        "cosore",
        "voigt",
        "stdfmt",
        "rsofun",
        "metaflux",
        "cardamom",
        "uscrn",
        "srdb",
        "xmethanewet",
        "treat",
        "literature_means",
    ]
    """Layout of the files; each has a reader in fluxatlas.ingest.sites."""
    path: list[str] = Field(min_length=1)
    """Files, folders or patterns with '*' (one or a list)."""
    metadata: str | None = None
    """CSV of sites (site, lat, lon, elevation, igbp, utc_offset) for layouts that carry no coordinates."""
    attributes: str | None = None
    """CSV of soil and vegetation attributes by site (sand, clay, soc, bdod, phh2o, cropFrac, ndep, lai, or lai_01 to
    lai_12), or by land cover where it has a column igbp and none called site: resources/attributes_by_landcover.csv."""
    sites: list[SiteInfo] = []
    """Facts on sites given here instead of in a metadata file; they win over the file's."""
    temperature_depths: dict[int, float] = {}
    """Depth in cm of soil temperature sensor 1, 2, ... where the file does not state it (fluxnet, ameriflux,
    ameriflux_l2); where nobody does, sensor 1 is taken to be at 5 cm and the others are left out."""
    moisture_depths: dict[int, float] = {}
    """Depth in cm of soil moisture sensor 1, 2, ... where the file does not state it (fluxnet, ameriflux,
    ameriflux_l2); where nobody does, sensor 1 is taken to be at 5 cm and the others are left out."""
    units: dict[str, UnitOverride] = {}
    """Unit by column (as the file calls it; the name without position stands for all of them) for files whose label is
    wrong or missing: {name: {units: ..., reason: ...}}."""
    table: TableColumns | None = None
    """Which column is what, for chamber tables in a layout of their own ('source: chambers')."""
    closure: Literal["measured", "corrected", "bowen_ratio"] = "measured"
    """Latent and sensible heat of towers: 'measured', though they do not close; 'corrected' by the network (LE_CORR and
    H_CORR of fluxnet, Qle_cor and Qh_cor of plumber2); 'bowen_ratio' shares what net radiation and ground heat of the
    day leave as the two were measured, and drops days without all four (fluxnet, plumber2, ameriflux)."""
    encoding: str = "utf-8"
    """Text encoding of the files, such as latin-1."""
    use: Literal["train", "evaluate"] = "train"
    """'evaluate' keeps these sites, and their weather, out of sampling and training."""

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("temperature_depths", "moisture_depths")
    @classmethod
    def _centimetres(cls, depths: dict[int, float]) -> dict[int, float]:
        if odd := in_metres(depths.values()):
            raise ValueError(f"depths are in cm, and {odd[0]:g} looks like metres: write {100 * odd[0]:g}")
        return depths

    @field_validator("sites")
    @classmethod
    def _each_once(cls, sites: list[SiteInfo]) -> list[SiteInfo]:
        facts: dict[str, dict[str, Any]] = {}
        called: dict[str, str] = {}
        for info in sites:
            name, told = info.name_in_file or info.site, facts.setdefault(info.site, {})
            given = info.model_dump(exclude={"name_in_file"}, exclude_none=True)
            if called.get(name, info.site) != info.site:
                text = f"sites '{called[name]}' and '{info.site}' have the same name in the files, '{name}'"
                raise ValueError(f"{text}; keep one of the two")
            if name in called or any(told.setdefault(fact, value) != value for fact, value in given.items()):
                raise ValueError(f"site '{info.site}' stands twice; keep one of the two")
            called[name] = info.site
        return sites

    @model_validator(mode="after")
    def _only_what_is_used(self) -> SiteEntry:
        for name, (sources, why) in UNUSED.items():
            if self.source in sources and self.given(name):
                raise ValueError(f"'{name}' is not used with 'source: {self.source}', {why}")
        if self.source == "ameriflux" and self.closure == "corrected":
            raise ValueError(
                "'closure: corrected' is not possible with 'source: ameriflux', whose files hold measured"
                " heat alone: take bowen_ratio, or the tower's FLUXNET product"
            )
        return self


class YieldTable(Block):
    """A table of yields by place and year that networks learn from: sums over a year of what leaves a field."""

    path: str
    """Table of yields in a layout that `fluxatlas evaluate yields` reads (docs/sites.md)."""
    crop: Literal["maize", "soybean", "wheat"]
    """Crop of the table, which grows at its places every year; at a site of `entries` it must be that of its `rotation`
    in the year, or tells it where none is stated. Of a table with a column crop, its rows alone."""
    places: str | None = None
    """CSV of the places (site, lat, lon), or a table without header of state, county, longitude and latitude; left out:
    places are sites of `entries`, such as towers."""
    attributes: str | None = None
    """CSV of soil by place, or by land cover, as in `entries`; others are those of the nearest cell. Sites of `entries`
    have theirs from there."""
    carbon: float | None = Field(None, gt=0, lt=1)
    """Carbon of the dry grain; left out: 0.45, soybean 0.50."""
    first_year: int = Field(1800, ge=1800, le=2200)
    """First year that is read."""
    last_year: int = Field(2200, ge=1800, le=2200)
    """Last year that is read: later ones can be kept for evaluation."""
    use: Literal["train", "evaluate"] = "train"
    """'evaluate' keeps these places out of sampling and training; it is refused at sites of `entries` that are trained
    on, where it belongs into their entry."""

    @model_validator(mode="after")
    def _years_in_order(self) -> YieldTable:
        if self.first_year > self.last_year:
            raise ValueError(f"first_year {self.first_year} comes after last_year {self.last_year}")
        return self


class GriddedInput(Block):
    """A gridded product of a variable that sites measure, such as production seen by satellites."""

    path: list[str] = Field(min_length=1)
    """NetCDF files or patterns with '*' (one or a list), on regular latitudes and longitudes, daily or in longer steps
    that are stamped with their first day."""
    variable: str | None = None
    """Name in the files; left out: that of fluxatlas."""
    units: str | None = None
    """Unit of the files where they state none or a wrong one, such as g m-2 d-1."""

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class QcRules(Block):
    """Which values are kept. Every value that is not is counted with its reason in ingest/sites/report.json."""

    missing_codes: list[float] = [-9999.0, -6999.0, -99999.0]
    """Values that mean 'missing' or 'not measured' in any column."""
    scaled_code_repeats: int = Field(5, ge=2)
    """An impossible value that recurs exactly this often is taken for a unit-converted missing code."""
    min_qc: float = Field(0.5, ge=0, le=1)
    """Smallest fraction of measured data in a daily observation; below it the day counts as gap-filled."""
    forcing_min_qc: float = Field(0.0, ge=0, le=1)
    """The same for a site's own meteorology; 0 accepts gap-filled weather, which a complete series needs."""
    min_values: int = Field(6, ge=1)
    """Smallest number of values in a daily mean of an automatic instrument (chambers, half-hourly towers)."""
    spike_z: float = Field(12.0, ge=0)
    """Robust z-score of the second difference above which a value is a spike; 0 switches the test off."""
    spike_window: int = Field(97, ge=5)
    """Number of values over which the spike test takes its running medians."""
    valid_range: bool = True
    """Drop values outside the valid range of resources/variables.yaml."""
    limits: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Range by variable (canonical units) that replaces that of the system, such as {fch4: [-100, 3000]} for wetlands.
    A possible value beyond it is of another kind of place: dropped, and counted as such."""
    other_cover: dict[str, list[str]] = Field(default_factory=dict)
    """IGBP classes by variable of places that are another kind of system, such as {nee: [URB]}; replaces that of the
    system. Where 'limits' of a variable are given, those of the system do not count for it."""
    taken_as: dict[str, str] = Field(default_factory=dict)
    """Variable of the system that a measured one stands for, beside what the system says; limits name the measured."""
    other_share: float = Field(0.03, gt=0, le=1)
    """A site with a larger share of its days beyond the limits is another kind of place too (our choice: the ten
    wetlands that we tried have 1 to 99 %, nine of them 4 % or more, chambers of upland soils none)."""
    other_sites: Literal["leave_out", "evaluate", "keep"] = "leave_out"
    """What happens to a site of another kind of place: left out, used for evaluation only, or kept."""
    ismn_flags: list[str] = ["G"]
    """Flags of the International Soil Moisture Network that are accepted (C02, above 0.6, is true in organic soils)."""
    flux_sd: float = Field(0.15, ge=0)
    """Constant part of the least uncertainty of a daily CH4 flux in mg m-2 d-1 (our error model)."""
    flux_sd_relative: float = Field(0.2, ge=0)
    """Part of the least uncertainty that is proportional to the flux (our error model)."""
    temperature_sd: float = Field(0.5, gt=0)
    """Least uncertainty of a daily soil temperature in K."""
    moisture_sd: float = Field(0.03, gt=0)
    """Least uncertainty of a daily soil moisture in m3 m-3."""
    carbon_sd: float = Field(0.3, gt=0)
    """Least uncertainty of a daily net ecosystem exchange, primary production or respiration in g C m-2 d-1."""
    energy_sd: float = Field(5.0, gt=0)
    """Constant part of the least uncertainty of daily latent, sensible and ground heat and net radiation in W m-2 (our
    error model)."""
    energy_sd_relative: float = Field(0.1, ge=0)
    """Part of the least uncertainty of these that is proportional to the flux (our error model)."""
    yield_sd: float = Field(10.0, gt=0)
    """Constant part of the uncertainty of the yield of a year in g m-2 of carbon (our error model)."""
    yield_sd_relative: float = Field(0.1, ge=0)
    """Part of the uncertainty of a yield that is proportional to it (our error model)."""

    @field_validator("limits")
    @classmethod
    def _leave_something(cls, limits: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in limits.items():
            if not low < high:
                raise ValueError(f"{name}: the lower limit comes first, and {low:g} is not below {high:g}")
            if (row := variables.table().get(name)) is None:
                continue  # names are checked with those of other blocks
            least, most = row.possible or row.valid
            if high < least or low > most:
                text = f"{name}: nothing from {low:g} to {high:g} is possible; limits are in {row.units}"
                raise ValueError(f"{text}, where it is {least:g} to {most:g}")
        return limits


class SitesBlock(Block):
    """Towers and chambers: what is read and how it is screened."""

    jobs = ("sites",)

    entries: list[SiteEntry] = []
    """Sources of sites, in order; a site may occur in one entry only."""
    yields: list[YieldTable] = []
    """Tables of yields that networks learn from, where the system makes a harvest."""
    gridded: dict[str, GriddedInput] = {}
    """Gridded products by variable, such as gpp, whose values at the sites take the place of what these measured; with
    train.measured_inputs networks are handed them."""
    qc: QcRules = Field(default_factory=QcRules)
    """Quality control."""
    chambers: Literal["adjusted", "mean"] = "adjusted"
    """How the series of several chambers become that of their site: 'adjusted' is free of which of them ran on a day
    (every chamber has the same weight on every day), 'mean' is the mean over those that did."""
    min_days: int = Field(1, ge=1)
    """Sites with fewer observed days are left out (counted in the report)."""
    min_segment_days: int = Field(30, ge=1)
    """Shorter stretches of complete meteorology are not used as a site's own forcing."""
    sea_sites: Literal["error", "warn"] = "error"
    """What to do with a site whose coordinates lie in the sea more than a tenth of a degree off the coast."""
    complete_profiles: bool = True
    """Complete soil temperature and moisture at chamber sites (origin 'completed', qc 0)."""
    completion_gap_days: int = Field(7, ge=0, le=60, json_schema_extra=leaf("sites", "finetune", "baseline"))
    """Longest gap that the completion interpolates across, in days."""


SYNTHETIC_DEPTHS = {1: 5.0, 2: 15.0, 3: 45.0}
"""Depth in cm of the sensors of towers on the synthetic Earth."""


def sites_for_synthetic_earth(
    folder: str,
    block: SitesBlock | None = None,
    *,
    towers: Collection[str],
    chambers: bool,
    crops: Collection[Literal["maize", "soybean", "wheat"]] = (),
) -> SitesBlock:
    """``block`` (its rules) with the files that the synthetic Earth writes to ``folder``: towers, which measure the
    variables ``towers``, ``chambers``, and a table of the yields of ``crops`` at the towers."""

    def depths(kind: str) -> dict[int, float]:
        return {i: depth for i, depth in SYNTHETIC_DEPTHS.items() if f"{kind}{depth:02.0f}" in towers}

    listed = f"{folder}/towers.csv"
    soil = {"temperature_depths": depths("tsl"), "moisture_depths": depths("swc")}
    entries = [SiteEntry(source="fluxnet", path=[folder], metadata=listed, **soil)]
    if chambers:
        entries.append(SiteEntry(source="chambers", path=[f"{folder}/chambers.csv"]))
    yields = [YieldTable(path=f"{folder}/{YIELDS}", crop=crop) for crop in crops]
    return (block or SitesBlock()).model_copy(update={"entries": entries, "yields": yields})
