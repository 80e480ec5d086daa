"""Names that stand as values or as keys of tables, checked against what they name while nothing heavy is imported.

Jobs check them again, since a job may be run by hand; here they are refused before the first job starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import variables
from ..errors import ConfigError, nearest
from ..paths import RESOURCES
from ..yaml_text import read_keys
from .comparison import wrong_comparison
from .experiments import split_model
from .forcing import ForcingBlock, RainPattern
from .regional import wrong_regional

if TYPE_CHECKING:
    from ..systems import System
    from .model import Config

_COLORMAPS = """
Accent Blues BrBG BuGn BuPu CMRmap Dark2 GnBu Grays Greens Greys OrRd Oranges PRGn Paired Pastel1 Pastel2 PiYG PuBu
PuBuGn PuOr PuRd Purples RdBu RdGy RdPu RdYlBu RdYlGn Reds Set1 Set2 Set3 Spectral Wistia YlGn YlGnBu YlOrBr YlOrRd
afmhot autumn berlin binary bone brg bwr cividis cool coolwarm copper cubehelix flag gist_earth gist_gray gist_grey
gist_heat gist_ncar gist_rainbow gist_stern gist_yarg gist_yerg gnuplot gnuplot2 gray grey hot hsv inferno jet magma
managua nipy_spectral ocean okabe_ito pink plasma prism rainbow seismic spring summer tab10 tab20 tab20b tab20c
terrain turbo twilight twilight_shifted vanimo viridis winter
"""
COLORMAPS = frozenset(_COLORMAPS.split())
"""Colour maps of matplotlib, which is slow to import; each also exists reversed, as ``<name>_r``."""
MOST_LISTED = 16


def wrong_names(config: Config, system: System) -> list[str]:
    """One line ``key: what is wrong`` for each name of ``config`` that nothing has; empty if there are none."""
    knowledge = [term.name for term in system.knowledge]
    head = config.train.head if config.train.head in system.heads else system.heads[0]
    held = {term.name for term in system.knowledge} - {term.name for term in system.terms(head)}
    return [
        *_unknown("products.variables", config.products.variables, system.outputs, "variable"),
        *_unknown("train.knowledge", config.train.knowledge, knowledge, "knowledge term"),
        *(
            f"train.knowledge: '{name}' holds by construction with the head '{head}'; leave it out"
            for name in config.train.knowledge
            if name in held
        ),
        *_unknown("experiments.target", filter(None, [config.experiments.target]), system.measured, "measured output"),
        *(
            line
            for group, names in config.experiments.importance_groups.items()
            for line in _unknown(f"experiments.importance_groups.{group}", names or [""], system.permutable, "driver")
        ),
        *_corrections(config, system),
        *_models(config, system),
        *_strategy(config),
        *_labels(config, system),
        *wrong_regional(config, system),
        *wrong_comparison(config, system),
        *_unknown("train.head", filter(None, [config.train.head]), system.heads, "head"),
        *_unknown("train.options", config.train.options, system.options, "option of the network"),
        *(
            line
            for name, form in config.train.options.items()
            for line in _unknown(f"train.options.{name}", [form], system.options.get(name, [form]), "form")
        ),
        *wrong_structures(config.synthesize.exclude or {}, system),
        *_forms(config, system),
        *_unknown("sites.qc.limits", config.sites.qc.limits, variables.table(), "variable"),
        *_unknown("sites.qc.taken_as", config.sites.qc.taken_as, variables.table(), "variable"),
        *_beside_entries(config, system),
        *_unknown("sites.qc.taken_as", config.sites.qc.taken_as.values(), variables.table(), "variable"),
        *_unknown("sites.qc.other_cover", config.sites.qc.other_cover, variables.table(), "variable"),
        *_unknown("report.colormap", [config.report.colormap.removesuffix("_r")], COLORMAPS, "colour map"),
        *_legend(config),
        *_forcing("forcing", config.forcing),
        *(_forcing("forcing.rain_pattern", config.forcing.rain_pattern) if config.forcing.rain_pattern else ()),
    ]


def _beside_entries(config: Config, system: System) -> Iterator[str]:
    """Tables of yields and gridded products at sites that nothing of the system would read."""
    if config.sites.yields and not system.measured_by("statistics"):
        yield f"sites.yields: '{system.name}' has no harvest that networks could learn; leave it out"
    known = {kind.variable for kind in system.observations} | {*system.intermediates, *system.flux_names}
    for name in config.sites.gridded:
        if name not in known and name in variables.table():
            yield f"sites.gridded: '{name}' is not measured at sites of '{system.name}'; leave it out"
    yield from _unknown("sites.gridded", config.sites.gridded, variables.table(), "variable")


def _corrections(config: Config, system: System) -> Iterator[str]:
    block = config.experiments
    for name in sorted({"residual", "stacking"} & set(block.transfers)):
        if block.target not in ("", system.flux):
            yield f"experiments.transfers: '{name}' corrects '{system.flux}' alone, not '{block.target}'; leave it out"


def _labels(config: Config, system: System) -> Iterator[str]:
    if config.train.labels == "merged" and config.train.ladder in ("prior", "calibrated"):
        yield f"train.labels: merged has no effect with train.ladder: {config.train.ladder}; set ladder: network"
    if config.train.labels == "merged" and not system.balance:
        yield f"train.labels: '{system.name}' has no balance that merged labels could be moved onto; leave it out"


def _models(config: Config, system: System) -> Iterator[str]:
    """What experiments ask of the system that it does not have, or of sites whose truth is not known."""
    block = config.experiments
    made = [*dict.fromkeys((*system.intermediates, *system.flux_names))]
    yield from _unknown("experiments.hidden", block.hidden, made, "output")
    yield from _unknown(
        "experiments.measured_inputs", block.measured_inputs, system.intermediates, "output of a sub-module"
    )
    if block.hidden and (config.forcing.source != "synthetic_earth" or config.sites.entries):
        yield "experiments.hidden: the truth is known at the towers of forcing.source: synthetic_earth alone"
    from ..systems import flat

    for name in (name for name in block.models if split_model(name)[1]):
        try:
            flat(system, block.measured_inputs)
        except ConfigError as problem:
            yield f"experiments.models: '{name}': {problem}"


def _strategy(config: Config) -> Iterator[str]:
    """Why the strategy of fine-tuning cannot be run as configured."""
    train = config.train
    if train.strategy != "declared" and train.ladder not in ("network", "weights", "climb"):
        yield f"train.strategy: {train.strategy} has no effect with train.ladder: {train.ladder}; set ladder: network"
    if train.ladder == "climb" and train.split == "time":
        yield "train.ladder: climb leaves out clusters of sites, which train.split: time does not; name a rung"
    if train.strategy == "adversarial" and train.rehearsal == 0:
        yield "train.strategy: adversarial compares with synthetic series; give train.rehearsal a value above 0"


def _unknown(key: str, given: Iterable[str], known: Iterable[str], noun: str) -> Iterator[str]:
    """A line for each of ``given`` that is not among ``known``."""
    names = sorted(known)
    listed = f" (choose from {', '.join(names)})" if len(names) <= MOST_LISTED else ""
    for name in given:
        if name not in names:
            yield f"{key}: unknown {noun} '{name}'{nearest(name, names)}{listed}"


def wrong_structures(exclude: Mapping[str, tuple[str, ...]], system: System) -> Iterator[str]:
    """A line for each choice or form of ``exclude`` that the process model lacks, or leaves none of."""
    yield from _unknown("synthesize.exclude", exclude, system.choices, "structural choice")
    for choice, forms in exclude.items():
        if choice in system.choices:
            yield from _unknown(f"synthesize.exclude.{choice}", forms, system.choices[choice], "form")
            if set(forms) >= set(system.choices[choice]):
                yield f"synthesize.exclude.{choice}: no form is left to draw; leave one out of the list"


def _forms(config: Config, system: System) -> Iterator[str]:
    """A line for each choice or form of ``infer.forms`` that the process model lacks, or that members are not told."""
    yield from _unknown("infer.forms", config.infer.forms, system.choices, "structural choice")
    left_out: Mapping[str, tuple[str, ...]] = config.synthesize.exclude or {}
    why = "take it out of synthesize.exclude"
    if config.synthesize.exclude is None and config.forcing.source == "synthetic_earth" and system.truth:
        left_out, why = system.withheld, "the hidden truth has it; 'synthesize.exclude: {}' gives it to samples too"
    for choice, form in config.infer.forms.items():
        if choice in system.choices:
            yield from _unknown(f"infer.forms.{choice}", [form], system.choices[choice], "form")
        if form in left_out.get(choice, ()) and not config.train.members_from:
            yield f"infer.forms.{choice}: no sample has '{form}', so members do not know it ({why})"
    if config.infer.forms and not config.train.code and not config.train.members_from:
        yield "infer.forms: with train.code: 0 members are not told forms; set it above 0, or leave 'forms' out"


def _legend(config: Config) -> Iterator[str]:
    """The legend of land cover, where it is a name and not a file."""
    cover = config.static.landcover
    if cover is not None and not cover.legend.endswith(".csv"):
        shipped = (path.stem.removeprefix("landcover_") for path in RESOURCES.glob("landcover_*.csv"))
        yield from _unknown("static.landcover.legend", [cover.legend], shipped, "legend")


def _forcing(key: str, block: ForcingBlock | RainPattern) -> Iterator[str]:
    """The name of the mapping, where it is not a file, and the raw variables whose units are overridden."""
    name = {"mapping": block.mapping, "synthetic_earth": "era5_land"}.get(block.source, block.source)
    if name == "sites":
        return
    shipped = {path.stem: path for path in (RESOURCES / "mappings").glob("*.yaml")}
    if name in shipped:
        raw: Mapping[str, Any] = read_keys(shipped[name])["raw"]
        yield from _unknown(f"{key}.overrides", block.overrides, raw, "raw variable")
    elif not name.endswith((".yaml", ".yml")):
        yield from _unknown(f"{key}.mapping", [name], shipped, "mapping")
