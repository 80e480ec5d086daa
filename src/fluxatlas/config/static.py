"""The block ``static`` of the configuration: the layers that do not change from day to day."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from ..errors import nearest
from .base import SHORTEST_REASON, Block, Years
from .lai import LaiSeries, lai_inputs
from .leaves import leaf
from .providers import DEPTHS, SOIL, SUFFIXES, depth_files, depth_shares, interval, presets

LAYERS = (
    *("orog", "sand", "clay", "soc", "bdod", "phh2o", "ndep", "lai"),
    *("cropFrac", "wetlandFrac", "uplandFrac", "biome", "sftlf"),
)
"""Names of the layers that may be given; the last row overrules what land cover and land mask say."""


OF_LAND = ("cropFrac", "wetlandFrac")
"""Layers that are shares of the land; a file may give shares of the cell."""


class Layer(Block):
    """One static layer: rasters or NetCDF files, a map of codes with a table, or a constant with a reason."""

    path: str | list[str] = ""
    """GeoTIFF (any projection) or NetCDF on a regular latitude-longitude grid; '{depth}' stands for depth intervals."""
    provider: Literal["", "soilgrids", "hwsd"] = ""
    """Whose files: sets names, units and factors; with 'soilgrids', 'path' may be the folder of all files."""
    variable: str | list[str] = ""
    """Variable of a NetCDF file (several are summed) or column of 'table'; empty: found by the name of the layer."""
    band: int = Field(1, ge=1)
    """First band of a GeoTIFF."""
    select: dict[str, int] = Field(default_factory=dict)
    """Positions along further dimensions of a NetCDF variable, such as {layer: 0}."""
    weights: str = ""
    """NetCDF variable of shares; the layer becomes the weighted mean over the dimensions of the shares."""
    years: Years = None
    """First and last year that are used of a series in time; left out: all that the files hold."""
    over_time: Literal["", "mean", "maximum", "minimum", "months", "years"] = ""
    """How a series in time becomes one field; empty: 'mean' where 'years' are given, else a series is refused; of
    'area_maps' alone: 'months', the mean of each calendar month, and 'years', that of each of the 'years' that are
    given, such as maps of crops."""
    month: int | None = Field(None, ge=1, le=12)
    """Only this calendar month of a series in time."""
    share_of: Literal["", "land", "cell"] = ""
    """What cropFrac or wetlandFrac is a share of in the file: a share of the whole cell is divided by its land; empty:
    of the land, but of the cell where the variable is Fw, as in WAD2M."""
    depth: tuple[float, float] = (0.0, 30.0)
    """Top and bottom [cm] of the mean over depth, where files or table hold several depths."""
    depths: list[str] = Field(default_factory=list)
    """What '{depth}' stands for; empty: the intervals of SoilGrids, 0-5cm to 100-200cm."""
    table: str = ""
    """CSV table of mapping units, whose codes the map holds: HWSD_DATA, HWSD2_LAYERS, or one with 'columns'."""
    columns: dict[Literal["code", "share", "top", "bottom"], str] = Field(default_factory=dict)
    """Names of the columns of 'table'; left out: those of HWSD."""
    transform: Literal["", "clay_from_expt", "sand_from_ksat"] = ""
    """Pedotransfer (Cosby et al. 1984) from what the file holds: VIC's 'expt', or Ksat [mm d-1]."""
    scale: float = Field(1.0, gt=0)
    """Factor on the stored values, before the unit (packing that the file declares is undone by itself)."""
    offset: float = 0.0
    """Added after the factor, before the unit."""
    units: str = ""
    """Unit after scaling; empty: the one that the file states, else the canonical unit of the layer."""
    nodata: float | None = None
    """Missing value; left out: what the file declares."""
    land_only: bool = False
    """Leave out what the land mask calls sea: for altitudes that go on below the sea (ETOPO, GEBCO)."""
    method: Literal["auto", "conservative", "bilinear"] = "auto"
    """How it is regridded; 'auto': mean by area from a finer grid, bilinear from a coarser one."""
    constant: float | None = None
    """One value everywhere instead of a file."""
    reason: str = ""
    """Why a constant is good enough; needed with 'constant'."""

    @property
    def paths(self) -> list[str]:
        """``path`` as a list."""
        return [self.path] * bool(self.path) if isinstance(self.path, str) else self.path

    @property
    def variables(self) -> list[str]:
        """``variable`` as a list."""
        return [self.variable] * bool(self.variable) if isinstance(self.variable, str) else self.variable

    @model_validator(mode="after")
    def _one_source(self) -> Layer:
        if (self.constant is None) == (not self.paths):
            raise ValueError("give either 'path' or 'constant'")
        if self.constant is not None and len(self.reason.strip()) < SHORTEST_REASON:
            raise ValueError(f"a constant needs a 'reason' of {SHORTEST_REASON} letters or more")
        others = [name for name in type(self).model_fields if name not in ("path", "constant", "reason")]
        if self.constant is not None and (unused := self.given(*others)):
            raise ValueError(f"'{unused[0]}' is of a file, which a constant does not have")
        if self.constant is None and self.reason:
            raise ValueError("a 'reason' belongs to a 'constant'")
        if self.columns and not self.table:
            raise ValueError("'columns' are those of a 'table'")
        if self.provider and (self.units or self.scale != 1 or self.offset):
            raise ValueError(f"provider '{self.provider}' sets the unit: leave out 'units', 'scale' and 'offset'")
        if (self.provider == "hwsd") > bool(self.table):
            raise ValueError("provider 'hwsd' needs its 'table' (HWSD_DATA or HWSD2_LAYERS as CSV)")
        return self

    @model_validator(mode="after")
    def _depth_and_years(self) -> Layer:
        if not 0 <= self.depth[0] < self.depth[1]:
            raise ValueError(f"'depth' is top and bottom in cm (given: {list(self.depth)})")
        if self.by_depth:
            if len(self.paths) != 1:
                raise ValueError("files by depth are one 'path' with '{depth}', or a folder")
            intervals = [interval(text) for text in self.depths or DEPTHS]
            if None in intervals:
                raise ValueError(f"'depths' are intervals in cm, such as '0-5cm' (given: {self.depths})")
            covered = sum(depth_shares([found for found in intervals if found], self.depth))
            if abs(covered - 1) > 1e-6:
                raise ValueError(f"the intervals hold {100 * covered:.0f} % of the 'depth' {list(self.depth)} cm")
        elif self.depths:
            raise ValueError("'depths' are what '{depth}' in 'path' stands for")
        return self

    @property
    def by_depth(self) -> bool:
        """Whether there is one file per depth interval."""
        if any("{depth}" in path for path in self.paths):
            return True
        return self.provider == "soilgrids" and Path(self.paths[0]).suffix.lower() not in SUFFIXES


class SoilMap(Block):
    """One provider's maps of sand, clay, soc, bdod and phh2o; a layer of its own in 'layers' takes precedence."""

    provider: Literal["soilgrids", "hwsd"]
    """SoilGrids 2.0, or HWSD (versions 1 and 2, distinguished by the table)."""
    path: str = Field(min_length=1)
    """SoilGrids: folder of its files, or a pattern with {layer} and {depth}; HWSD: the raster of mapping units."""
    table: str = ""
    """HWSD: the table HWSD_DATA or HWSD2_LAYERS as CSV."""
    depth: tuple[float, float] = (0.0, 30.0)
    """Top and bottom [cm] of the mean over depth."""
    nodata: float | None = None
    """Missing value; left out: what the files declare."""

    @model_validator(mode="after")
    def _as_layers(self) -> SoilMap:
        try:
            self.layers()
        except ValidationError as problem:
            raise ValueError(str(problem.errors()[0]["msg"]).removeprefix("Value error, ")) from None
        return self

    def layers(self) -> dict[str, Layer]:
        """The layers that it stands for; raises ValueError where it makes no sense."""
        return {name: Layer(**self.model_dump()) for name in SOIL}


class LandCover(Block):
    """A map of land-cover classes, or of shares of each, from which the cover of the land and its biome are counted."""

    path: str = Field(min_length=1)
    """GeoTIFF (any projection) or NetCDF file; '{year}' stands for 'year'."""
    variable: str = ""
    """Variable of a NetCDF file; empty: the one of class codes or shares, where there is only one."""
    select: dict[str, int] = Field(default_factory=dict)
    """Positions along further dimensions of a NetCDF variable, such as {time: 0}."""
    year: int | None = Field(None, ge=1500, le=2200)
    """Year that is used of maps by year: of a NetCDF series, of bands named by year, or of '{year}' in 'path'."""
    band: int = Field(0, ge=0)
    """Band of a GeoTIFF; 0: the only one, or the one of 'year'."""
    content: Literal["auto", "classes", "shares"] = "auto"
    """Class codes, or one layer or variable per class that holds its share; 'auto': told by the file's layout."""
    classes: list[int] = Field(default_factory=list)
    """Codes of the layers of a file of shares, in their order; empty: those that the file states."""
    units: str = ""
    """Unit of shares; empty: the file's, else fraction or percent, whichever they sum up to."""
    legend: str = "esa_cci"
    """Legend: 'esa_cci', 'esa_cci_pft', 'modis_igbp', or a CSV like resources/landcover_esa_cci.csv."""
    nodata: float | None = None
    """Code that means missing; left out: what the file declares, or 0 where the legend has no class 0."""

    @property
    def file(self) -> str:
        """The path with the year filled in."""
        return self.path.replace("{year}", str(self.year))

    @model_validator(mode="after")
    def _year_is_given(self) -> LandCover:
        if "{year}" in self.path and self.year is None:
            raise ValueError("'path' has {year}: give 'year'")
        return self


class StaticBlock(Block):
    """Static layers on their way to the target grid."""

    jobs = ("attributes", "site_inputs")
    moved = {"minimum_upland": "static.minimum_mask"}

    layers: dict[str, Layer] = Field(default_factory=dict)
    """Layers by canonical name: orog, sand, clay, soc, bdod, phh2o, ndep, lai (12 bands), cropFrac, ..."""
    soil: SoilMap | None = None
    """The five soil layers from one provider's maps, instead of one by one in 'layers'."""
    area_maps: dict[str, Layer] = Field(default_factory=dict, json_schema_extra=leaf("attributes"))
    """Further maps of the layer that fluxes are per, such as wetlandFrac, by a name of your own (letters and digits):
    totals are given with each of them too. 'over_time: months' makes the area follow the season, 'years' the year: one
    before or after the map has its nearest."""
    lai_series: LaiSeries | None = None
    """Satellite composites of leaf area with quality bits, instead of the layer lai."""
    landcover: LandCover | None = None
    """Land cover; without it all land counts as upland soil unless the layer uplandFrac is given."""
    minimum_land: float = Field(50.0, ge=0, le=100, json_schema_extra=leaf("attributes"))
    """Cells with less land than this [%] are not run."""
    minimum_mask: float = Field(1.0, ge=0, le=100, json_schema_extra=leaf("attributes"))
    """Cells with less than this [%] of what the system is about (upland soil for soil_methane_sink) are not run."""
    fill_cells: int = Field(6, ge=0, le=100)
    """How far [cells] a missing value is filled from its nearest neighbours; farther cells are not run."""

    @model_validator(mode="after")
    def _one_leaf_area(self) -> StaticBlock:
        if self.lai_series and "lai" in self.layers:
            raise ValueError("leaf area is given twice: by 'layers.lai' and by 'lai_series'")
        return self

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, layers: dict[str, Layer]) -> dict[str, Layer]:
        unknown = [f"'{name}' is not a static layer{nearest(name, LAYERS)}" for name in layers if name not in LAYERS]
        if unknown:
            raise ValueError("; ".join(unknown))
        for name, layer in layers.items():
            if layer.share_of and name not in OF_LAND:
                raise ValueError(f"'share_of' is for {' and '.join(OF_LAND)}, not for '{name}'")
            if layer.over_time in ("months", "years"):
                raise ValueError(f"'{name}' is one field: 'over_time: {layer.over_time}' is for 'area_maps'")
        return layers

    @field_validator("area_maps")
    @classmethod
    def _plain_names(cls, maps: dict[str, Layer]) -> dict[str, Layer]:
        wrong = [name for name in maps if not name.isalnum()]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is not a name of letters and digits")
        for name, layer in maps.items():
            if layer.over_time == "years" and layer.years is None:
                raise ValueError(f"'{name}' follows the years: say which, such as 'years: [2008, 2020]'")
        return maps

    def all_layers(self) -> dict[str, Layer]:
        """``layers``, and those of ``soil`` that it leaves out."""
        return {**(self.soil.layers() if self.soil else {}), **self.layers}


def layer_files(name: str, layer: Layer) -> list[tuple[str, float]]:
    """The files of layer ``name``, each with its share of the depth (1 where there are no depths)."""
    if not layer.by_depth:
        return [(path, 1.0) for path in layer.paths]
    preset = presets().get((layer.provider, name))
    called = preset.names[0] if preset else name
    return depth_files(layer.paths[0], called, layer.depth, tuple(layer.depths) or DEPTHS)


def static_inputs(block: StaticBlock) -> list[str]:
    """Every file that the block reads, each once."""
    return list(dict.fromkeys(layer_inputs(block) + (lai_inputs(block.lai_series) if block.lai_series else [])))


def layer_inputs(block: StaticBlock) -> list[str]:
    """The files of layers and land cover, each once."""
    paths: list[str] = []
    for name, layer in block.all_layers().items():
        paths += [path for path, _ in layer_files(name, layer)] + [layer.table] * bool(layer.table)
    for layer in block.area_maps.values():
        paths += layer.paths + [layer.table] * bool(layer.table)
    if block.landcover:
        paths.append(block.landcover.file)
    return list(dict.fromkeys(paths))


def static_for_synthetic_earth(folder: str) -> StaticBlock:
    """The block that reads what the synthetic Earth writes to ``folder``."""
    return StaticBlock.model_validate(
        {
            "layers": {
                "orog": {"path": f"{folder}/elevation.tif"},
                "sand": {"path": f"{folder}/sand.tif", "units": "g kg-1"},
                "clay": {"path": f"{folder}/clay.tif", "units": "g kg-1"},
                "soc": {"path": f"{folder}/soc.tif", "units": "dg kg-1"},
                "bdod": {"path": f"{folder}/bdod.tif", "units": "cg cm-3"},
                "phh2o": {"path": f"{folder}/phh2o.tif", "scale": 0.1},
                "lai": {"path": f"{folder}/lai.tif", "scale": 0.01},
                "ndep": {"path": f"{folder}/ndep.tif"},
            },
            "landcover": {"path": f"{folder}/landcover.tif", "legend": "esa_cci"},
        }
    )
