"""The whole configuration: one model of all blocks, the checks across them, and the loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..errors import ConfigError, FluxAtlasError
from ..grid import check_tile_size, get_grid
from ..yaml_text import read_keys
from . import leaves
from .atmosphere import AtmosphereBlock
from .base import Block, problems
from .comparison import ComparisonBlock
from .constraints import ConstraintsBlock
from .evaluate import EvaluateBlock
from .experiments import ExperimentsBlock
from .forcing import ForcingBlock
from .infer import InferBlock
from .names import wrong_names
from .products import ProductsBlock
from .regional import RegionalBlock
from .regions import RegionsBlock
from .report import ReportBlock
from .run import DomainBlock, GridBlock, PeriodBlock, RunBlock
from .sites import SitesBlock
from .static import StaticBlock
from .synthesize import SynthesizeBlock
from .synthetic_earth import SyntheticEarthBlock
from .train import FaultyCell, TrainBlock

_JOBS_OF_THE_SYSTEM = (
    "forcing", "attributes", "site_inputs", "synthesize", "regional_points", "pretrain", "baseline", "daily", "budget",
    "stac", "figure", "experiment_start", "experiment",
)  # fmt: skip

_HANDED = (
    "forcing", "static", "regions", "regional", "synthetic_earth", "synthesize", "train", "infer", "products",
    "evaluate", "comparison", "report", "sites", "experiments",
)  # fmt: skip
"""Blocks whose leaves jobs are handed as JSON; those of the others are paths, wildcards and options of their own.
A job that reads two of them is handed the first one whole, and leaves of the other as options."""


_OF_MAPS = {
    "synthesize": ("include_sites", "strata", "regrid", "max_tiles", "max_years"),
    "train": ("years",),
    "grid": ("tile_size",),
}
"""Leaves that choose cells of the domain, or years of its weather."""


_ABSENT = object()


class Config(Block):
    """Everything a run can be told. Unknown keys are refused."""

    run: RunBlock = Field(default_factory=RunBlock)
    """Name and place of the run."""
    system: str = Field(json_schema_extra=leaves.leaf(*_JOBS_OF_THE_SYSTEM))
    """What is estimated; one of the systems in src/fluxatlas/systems."""
    grid: GridBlock = Field(default_factory=GridBlock)
    """The target grid and its tiles."""
    domain: DomainBlock = Field(default_factory=DomainBlock)
    """The area to run."""
    period: PeriodBlock | None = None
    """The years to run; required but with 'forcing.source: sites'."""
    forcing: ForcingBlock
    """The meteorological forcing."""
    atmosphere: AtmosphereBlock = Field(default_factory=AtmosphereBlock)
    """Series of gases of the atmosphere; none by default: the tables of fluxatlas."""
    static: StaticBlock = Field(default_factory=StaticBlock)
    """Static layers: soil, terrain, land cover, vegetation. Left out for the synthetic Earth, which makes its own."""
    sites: SitesBlock = Field(default_factory=SitesBlock)
    """Towers and chambers. Left out for the synthetic Earth, which makes its own."""
    constraints: ConstraintsBlock = Field(default_factory=ConstraintsBlock)
    """Inversion fluxes and soil moisture on a grid, converted to one form beside the sites; none by default."""
    regions: RegionsBlock = Field(default_factory=RegionsBlock)
    """User-defined regions, such as countries or basins, for which the budget is summed; none by default."""
    regional: RegionalBlock = Field(default_factory=RegionalBlock)
    """Sums of regions and months by inversions that training is held to; none by default."""
    synthetic_earth: SyntheticEarthBlock = Field(default_factory=SyntheticEarthBlock)
    """The made-up world of the embedded default; read only where forcing.source is 'synthetic_earth'."""
    synthesize: SynthesizeBlock = Field(default_factory=SynthesizeBlock)
    """Synthetic samples from the process model."""
    train: TrainBlock = Field(default_factory=TrainBlock)
    """Pretraining and fine-tuning of the networks."""
    infer: InferBlock = Field(default_factory=InferBlock)
    """Application of the networks, tile by tile."""
    products: ProductsBlock = Field(default_factory=ProductsBlock)
    """What is made from the tiles."""
    evaluate: EvaluateBlock = Field(default_factory=EvaluateBlock)
    """Comparison with sites, towers and, for the synthetic Earth, the truth."""
    comparison: ComparisonBlock = Field(default_factory=ComparisonBlock)
    """Gridded products beside the product; none by default."""
    experiments: ExperimentsBlock = Field(default_factory=ExperimentsBlock)
    """The grid of experiments on models and transfers that `snakemake benchmark` runs."""
    report: ReportBlock = Field(default_factory=ReportBlock)
    """Figures and pages."""

    @model_validator(mode="after")
    def _correct_cell(self) -> Config:
        if self.train.cell in get_args(FaultyCell):
            what = f"train.cell: '{self.train.cell}' has a layout that was published by mistake and makes no product"
            raise ValueError(f"{what}; name it in experiments.models, which compare it with the correct one")
        return self

    @property
    def has_maps(self) -> bool:
        """Whether there is weather on a grid, so that maps of the domain can be made."""
        return self.forcing.source != "sites"

    @model_validator(mode="before")
    @classmethod
    def _maps_need_a_period(cls, data: Any) -> Any:
        forcing = data.get("forcing") if isinstance(data, dict) else None
        alone = isinstance(forcing, dict) and forcing.get("source") == "sites"
        return data if alone or not isinstance(data, dict) or data.get("period") else {**data, "period": _ABSENT}

    @field_validator("period", mode="before")
    @classmethod
    def _period_is_there(cls, value: Any) -> Any:
        if value is _ABSENT:
            raise PydanticCustomError("missing", "this key is required")
        return value

    @model_validator(mode="after")
    def _sites_alone(self) -> Config:
        """A run at sites alone has no domain and no years; what is said of maps would be read by nothing."""
        if self.has_maps:
            return self
        blocks = ("domain", "period", "infer", "products", "regions", "regional", "comparison", "synthetic_earth")
        unused = self.given(*blocks)
        unused += [f"{block}.{key}" for block, keys in _OF_MAPS.items() for key in getattr(self, block).given(*keys)]
        unused += [f"static.{key}" for key in self.static.given("area_maps")]
        layers = self.static.all_layers().items()
        unused += [f"static.layers.{name}: {{constant}}" for name, layer in layers if layer.constant is not None]
        if unused:
            what = f"forcing.source: with 'sites' nothing is run over a grid: '{unused[0]}' does nothing"
            raise ValueError(f"{what}; take it out, or give the weather of a domain")
        return self

    @model_validator(mode="after")
    def _synthetic_weather(self) -> Config:
        """The synthetic Earth fills in where its weather is; a path given by hand would be read by nothing."""
        unused = self.forcing.given("path", "elevation") if self.forcing.source == "synthetic_earth" else []
        if unused:
            raise ValueError(f"forcing: the synthetic Earth makes its own weather: '{unused[0]}' does nothing")
        if self.forcing.source == "synthetic_earth" and (ignored := self.static.given(*type(self.static).model_fields)):
            raise ValueError(f"static: the synthetic Earth makes its own layers: '{ignored[0]}' does nothing")
        return self


def block_of(job: str) -> str:
    """The block whose leaves ``job`` is handed as JSON; raises :class:`KeyError` where there is none."""
    for name in _HANDED:
        block = Config.model_fields[name].annotation
        if isinstance(block, type) and issubclass(block, Block) and leaves.names(block, job):
            return name
    raise KeyError(job)


def _whole(years: tuple[int, int] | None) -> range:
    return range(years[0], years[1] + 1) if years else range(0)


def contradictions(config: Config) -> list[str]:
    """Contradictions between blocks and names that nothing has, one line ``key: ...`` each; empty if there are none."""
    from ..systems import get_system

    found: list[str] = []
    for key, check in (
        ("system", lambda: get_system(config.system)),
        ("grid.name", lambda: get_grid(config.grid.name)),
        ("grid.tile_size", lambda: check_tile_size(config.grid.tile_size)),
    ):
        try:
            check()
        except FluxAtlasError as problem:
            found.append(f"{key}: {problem.what}" + (f" ({problem.hint})" if problem.hint else ""))
    if not any(line.startswith("system:") for line in found):
        found += wrong_names(config, get_system(config.system))
    if config.infer.ensemble == "student" and config.train.members < 2 and not config.train.members_from:
        found.append("infer.ensemble: one member has no spread that a student could learn (take 'exact')")
    for key, years, more in (
        ("period", config.period.forcing_years if config.period else [], " (spin-up included)"),
        ("train.years", _whole(config.train.years), ""),
        ("regional.years", _whole(config.regional.years), ""),
    ):
        outside = ", ".join(map(str, config.forcing.years_outside(years)))
        if outside:
            found.append(f"{key}: needs forcing of {outside}{more}, which the archive does not hold")
    return found


def parse(source: str | Path | Mapping[str, Any]) -> Config:
    """Read a configuration from a YAML file or a mapping, without :func:`contradictions`.

    Raises one :class:`ConfigError` that lists every problem of its blocks.
    """
    data = source if isinstance(source, Mapping) else _read_yaml(Path(source))
    try:
        return Config.model_validate(data)
    except ValidationError as problem:
        from ..systems import SYSTEMS

        choose = {"system: this key is required": f": choose from {', '.join(sorted(SYSTEMS))}"}
        raise _refusal([line + choose.get(line, "") for line in problems(problem)], _where(source)) from None


def load(source: str | Path | Mapping[str, Any]) -> Config:
    """Read and check a configuration from a YAML file or a mapping.

    Raises one :class:`ConfigError` that lists every problem found.
    """
    config = parse(source)
    lines = contradictions(config)
    if lines:
        raise _refusal(lines, _where(source))
    return config


def _where(source: str | Path | Mapping[str, Any]) -> str:
    return "the configuration" if isinstance(source, Mapping) else str(source)


def _refusal(lines: list[str], where: str) -> ConfigError:
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    listed = "".join(f"\n  - {line}" for line in lines)
    return ConfigError(
        f"the configuration has {count}:{listed}",
        where=where,
        hint="every key is explained in docs/configuration.md; `fluxatlas config check FILE` checks without running",
    )


def _read_yaml(path: Path) -> Mapping[str, Any]:
    hint = "write a YAML file like config/config.yaml"
    if path.is_dir():
        hint = "give the configuration itself, a file such as config/config.yaml"
        raise ConfigError("the configuration is a folder", where=str(path), hint=hint)
    if not path.is_file():
        raise ConfigError("configuration file not found", where=str(path), hint="check the path")
    return read_keys(path, "configuration", hint)
