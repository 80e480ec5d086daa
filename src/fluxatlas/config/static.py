"""The block ``static`` of the configuration: the layers that do not change from day to day."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..errors import nearest
from .base import Block
from .lai import LaiSeries, lai_inputs

LAYERS = (
    *("orog", "sand", "clay", "soc", "bdod", "phh2o", "ndep", "lai"),
    *("cropFrac", "wetlandFrac", "uplandFrac", "biome", "sftlf"),
)
"""Names of the layers that may be given; the last row overrules what land cover and land mask say."""


class Layer(Block):
    """One static layer: a raster or NetCDF file, or a constant with a reason."""

    path: str = ""
    """GeoTIFF (any projection) or NetCDF file on a regular latitude-longitude grid."""
    variable: str = ""
    """Variable of a NetCDF file; empty: named like the layer."""
    band: int = Field(1, ge=1)
    """First band of a GeoTIFF."""
    select: dict[str, int] = Field(default_factory=dict)
    """Positions along further dimensions of a NetCDF variable, such as {layer: 0}."""
    weights: str = ""
    """NetCDF variable of shares; the layer becomes the weighted mean over the dimensions of the shares."""
    transform: Literal["", "clay_from_expt", "sand_from_ksat"] = ""
    """Pedotransfer (Cosby et al. 1984) from what the file holds: VIC's 'expt', or Ksat [mm d-1]."""
    scale: float = Field(1.0, gt=0)
    """Factor on the stored values, before the unit (NetCDF packing is undone by itself)."""
    offset: float = 0.0
    """Added after the factor, before the unit."""
    units: str = ""
    """Unit after scaling; empty: the canonical unit of the layer."""
    nodata: float | None = None
    """Missing value; left out: what the file declares."""
    method: Literal["auto", "conservative", "bilinear"] = "auto"
    """How it is regridded; 'auto': mean by area from a finer grid, bilinear from a coarser one."""
    constant: float | None = None
    """One value everywhere instead of a file."""
    reason: str = ""
    """Why a constant is good enough; needed with 'constant'."""

    @model_validator(mode="after")
    def _one_source(self) -> Layer:
        if (self.constant is None) == (not self.path):
            raise ValueError("give either 'path' or 'constant'")
        if self.constant is not None and len(self.reason) < 10:
            raise ValueError("a constant needs a 'reason'")
        return self


class LandCover(Block):
    """A map of land-cover classes, from which shares of crops, wetland and upland soil and the biome are counted."""

    path: str = Field(min_length=1)
    """GeoTIFF (any projection) or NetCDF file of class codes."""
    variable: str = "lccs_class"
    """Variable of a NetCDF file."""
    select: dict[str, int] = Field(default_factory=dict)
    """Positions along further dimensions of a NetCDF variable, such as {time: 0}."""
    legend: str = "esa_cci"
    """Legend: 'esa_cci', 'modis_igbp', or a CSV file with the columns of resources/landcover_esa_cci.csv."""
    nodata: float | None = None
    """Code that means missing; left out: what the file declares, or 0 where the legend has no class 0."""


class StaticBlock(Block):
    """Static layers on their way to the target grid."""

    layers: dict[str, Layer] = Field(default_factory=dict)
    """Layers by canonical name: orog, sand, clay, soc, bdod, phh2o, ndep, lai (12 bands), cropFrac, ..."""
    lai_series: LaiSeries | None = None
    """Satellite composites of leaf area with quality bits, instead of the layer lai."""
    landcover: LandCover | None = None
    """Land cover; without it all land counts as upland soil unless the layer uplandFrac is given."""
    minimum_land: float = Field(50.0, ge=0, le=100)
    """Cells with less land than this [%] are not run."""
    minimum_upland: float = Field(1.0, ge=0, le=100)
    """Cells with less upland soil than this [%] are not run."""
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
        unknown = [f"'{name}' is no static layer{nearest(name, LAYERS)}" for name in layers if name not in LAYERS]
        if unknown:
            raise ValueError("; ".join(unknown))
        return layers


def static_inputs(block: StaticBlock) -> list[str]:
    """Every file that the block reads, each once."""
    return list(dict.fromkeys(layer_inputs(block) + (lai_inputs(block.lai_series) if block.lai_series else [])))


def layer_inputs(block: StaticBlock) -> list[str]:
    """The files of layers and land cover, each once."""
    paths = [layer.path for layer in block.layers.values() if layer.path]
    if block.landcover:
        paths.append(block.landcover.path)
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
