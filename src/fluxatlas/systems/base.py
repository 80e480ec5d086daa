"""What a system declares: everything the shared chain must know to estimate one kind of flux.

A system is data: the stages read it and none of them knows a system by name. Whatever needs torch, numba or matplotlib
is named as ``module:object`` and imported by the stage that uses it (:func:`fluxatlas.loading.load_object`), so that a
declaration costs nothing at the start of a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..errors import ConfigError, nearest

Support = Literal["day", "interval", "year_sum", "area_mean", "region_month", "anomaly", "chamber"]
"""Names of the observation operators (``fluxatlas.train.operators`` has a function of each name)."""
SUPPORTS: tuple[str, ...] = get_args(Support)


@dataclass(frozen=True)
class Memory:
    """A mean of the past of ``driver`` as an input of its own: it forgets over ``days`` at first (e-folding), then at a
    rate that is learned and depends on ``statics`` (:mod:`fluxatlas.train.networks.antecedent`)."""

    driver: str
    statics: tuple[str, ...] = ()
    days: float = 10.6


@dataclass(frozen=True)
class Total:
    """A sum over days that a sub-module is handed exactly: ``gains`` less ``losses`` since the last *event*.

    ``event`` names a function of :class:`~fluxatlas.systems.protocols.NetworkParts`. On a day with an event the sum,
    that day included, is known to the bounds of the sub-module as ``name`` (0 on other days), and the next day begins
    at 0. Gains and losses are drivers or earlier outputs, per day.
    """

    name: str
    gains: tuple[str, ...]
    losses: tuple[str, ...]
    event: str


@dataclass(frozen=True)
class Submodule:
    """One recurrent part of the network hierarchy.

    ``drivers`` are daily inputs, ``upstream`` are outputs of earlier sub-modules, ``statics`` are inputs fixed in time;
    ``outputs`` are its daily outputs in physical units (names of the variable table). ``parameters`` and ``choices``
    are those of the process model that its outputs depend on. ``memories`` are means of past drivers that it sees
    beside the drivers of the day; the driver may be one of ``upstream``. ``totals`` are sums between events.
    ``pretrain`` and ``finetune`` weigh the loss of its outputs in the two stages of training.
    """

    name: str
    drivers: tuple[str, ...]
    upstream: tuple[str, ...]
    statics: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    pretrain: float = 0.3
    finetune: float = 0.05
    memories: tuple[Memory, ...] = ()
    totals: tuple[Total, ...] = ()


@dataclass(frozen=True)
class SlowDriver:
    """A daily input that comes from a climatology or a table instead of the weather.

    ``layers`` are the monthly layers of the attributes it is made of, ``series`` the gas of ``resources/gases.yaml``;
    ``function`` is ``module:name`` of ``(dates, lat, layers, series) -> (time, cell)`` (see :mod:`fluxatlas.drivers`).
    """

    name: str
    function: str
    layers: tuple[str, ...] = ()
    series: str | None = None


@dataclass(frozen=True)
class Flux:
    """One flux of the product; unit, sign and valid range are those of the variable table.

    ``scale`` is where the compressed scale of its loss turns from linear to logarithmic, in its unit. ``budget_unit``
    is the unit of its sum over an area and a year (None: never summed), ``substance`` what that mass is of,
    ``label`` its name on axes. ``gas`` is the molecule of the atmosphere that the flux moves (empty: none, as harvest),
    and ``upward`` whether positive numbers go to the atmosphere, as the long name of the variable says in words.
    ``per_cell`` is the variable of the product that is the same flux per area of the whole cell, where that of the flux
    is a part of it (empty: none). Raises :class:`ConfigError` for a gas without ``substance``.
    """

    variable: str
    scale: float
    label: str
    budget_unit: str | None = None
    substance: str = ""
    gas: str = ""
    upward: bool = True
    per_cell: str = ""

    def __post_init__(self) -> None:
        if self.gas and not self.substance:
            hint = "say as 'substance' what the mass of the flux is of, such as C"
            raise ConfigError(f"'{self.variable}' moves {self.gas} without a substance", where="Flux.gas", hint=hint)


@dataclass(frozen=True)
class KnowledgeTerm:
    """A soft constraint: name, variables its function reads, default weights in pretraining and fine-tuning, source.

    ``guaranteed`` names the heads with which it holds by construction; there it is not a term.
    """

    name: str
    reads: tuple[str, ...]
    pretrain: float
    finetune: float
    source: str
    guaranteed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObservationKind:
    """What is measured at sites: a variable of the network's outputs, and the range that belongs to this system.

    ``support`` names the observation operator that makes one observed number of daily cells (docs/learning.md).
    ``limits`` are in the unit of the variable; an observation beyond them is of another kind of place. So are the sites
    that measure it and have one of the IGBP classes ``other_cover``. ``instrument`` is what measures it on the
    synthetic Earth (``statistics``: sums of a year, at its towers). ``measured`` is what readers of site files call it
    where that is not ``variable``, such as a flux that several kinds of land have. Raises :class:`ConfigError` for a
    ``support`` that does not exist.
    """

    variable: str
    limits: tuple[float, float] | None = None
    support: Support = "day"
    other_cover: tuple[str, ...] = ()
    instrument: Literal["tower", "chamber", "statistics"] = "tower"
    measured: str = ""

    def __post_init__(self) -> None:
        if self.support not in SUPPORTS:
            raise ConfigError(
                f"'{self.support}' is not how '{self.variable}' can be observed{nearest(self.support, SUPPORTS)}",
                where="ObservationKind.support",
                hint=f"choose from {', '.join(SUPPORTS)}",
            )


@dataclass(frozen=True)
class Ramp:
    """Weight of a term of the loss in a phase; it rises linearly from 0 in the share ``over`` of the steps."""

    weight: float
    over: float = 0.0

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 <= self.over <= 1:
            raise ConfigError(
                f"a term has weight {self.weight:g} and rises over {self.over:g} of the steps",
                where="Phase.terms",
                hint="give a weight of 0 or more, and a share of the steps from 0 to 1",
            )

    def at(self, progress: float) -> float:
        """The weight when the share ``progress`` of the steps is done."""
        return self.weight if progress >= self.over else self.weight * progress / self.over


@dataclass(frozen=True)
class Phase:
    """One phase of training: what learns, from which data, by which terms (docs/learning.md, Strategies).

    ``learns``: the sub-modules that learn (none named: all); ``rate``: share of the learning rate, ``rates``: further
    shares of single sub-modules. ``steps``: optimiser steps (None: as many passes as the configuration says).
    ``synthetic``: share of synthetic series in the loss, observed ones have the rest (None: as configured).
    ``terms``: weights, with or without a ramp, that replace the declared ones; the terms ``regional`` (region-months)
    and ``adversary`` (gradient reversal) exist where they have a weight. ``anchor``: L2-SP, weight of half the squared
    distance to the weights that training began with. ``reweight``: synthetic series are drawn as often as places like
    them are observed. ``pace``: self-paced learning; observations whose loss exceeds a threshold, which grows
    geometrically from the first to the second of these numbers, do not count. With ``stop`` the best validation score
    decides, but not with ``steps`` and fewer than five blocks of validation sites.
    """

    name: str
    learns: tuple[str, ...] = ()
    rate: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)
    steps: int | None = None
    synthetic: float | None = None
    terms: Mapping[str, float | Ramp] = field(default_factory=dict)
    anchor: float = 0.0
    reweight: bool = False
    pace: tuple[float, float] | None = None
    stop: bool = True

    def __post_init__(self) -> None:
        wrong = self.steps is not None and self.steps < 1
        wrong |= self.synthetic is not None and not 0 <= self.synthetic <= 1
        wrong |= self.pace is not None and not 0 < self.pace[0] <= self.pace[1]
        if wrong or self.anchor < 0 or self.rate <= 0 or any(share < 0 for share in self.rates.values()):
            raise ConfigError(
                f"phase '{self.name}' has steps, shares or weights that are not possible",
                where="System.phases",
                hint="steps are 1 or more, 'synthetic' lies in 0 to 1, 'pace' rises, rates and weights are 0 or more",
            )

    @property
    def ramps(self) -> dict[str, Ramp]:
        """The terms with their ramps."""
        return {name: term if isinstance(term, Ramp) else Ramp(term) for name, term in self.terms.items()}

    def weighs(self, term: str) -> bool:
        """Whether ``term`` has a weight above 0 of its own in this phase."""
        return term in self.terms and self.ramps[term].weight > 0


@dataclass(frozen=True)
class Perturbation:
    """How the soils of synthetic samples differ from a known one.

    ``scale``: multiplied by a lognormal factor; ``shift``: a normal number is added. ``factor`` multiplies
    ``synthesize.jitter``.
    """

    kind: Literal["scale", "shift"] = "scale"
    factor: float = 1.0


@dataclass(frozen=True)
class Published:
    """A published total of the flux that is shown: source, range in its budget unit, tag (V verified, R recalled), and
    the latitudes ``south`` and ``north`` that it is of, by default the globe.
    """

    source: str
    low: float
    high: float
    tag: str
    south: float = -90.0
    north: float = 90.0


@dataclass(frozen=True)
class System:
    """A declaration of what is estimated and how; see the fields' comments."""

    name: str
    title: str
    forcing: tuple[str, ...]  # daily variables of the forcing pieces
    slow: tuple[SlowDriver, ...]  # daily inputs made of monthly layers and series of the atmosphere
    attributes: tuple[str, ...]  # static layers a cell must have
    statics: tuple[str, ...]  # static inputs of the network: attributes and properties derived from them
    climate: tuple[str, ...]  # drivers whose means describe a place (applicability)
    strata: tuple[str, ...]  # forcing (means) and attributes by which synthetic samples are spread
    submodules: tuple[Submodule, ...]
    process: str  # module:object of the process model (systems/protocols.py)
    priors: str  # module:function () -> Prior (fluxatlas.theta) by name of each of its parameters
    network: str  # module:object of heads, bounds and knowledge functions (systems/protocols.py)
    fluxes: tuple[Flux, ...]  # what is estimated; the first is the one sites measure
    outputs: tuple[str, ...]  # daily variables of the product
    observations: tuple[ObservationKind, ...]  # what is measured at sites
    heads: tuple[str, ...]  # names of the heads of the network; the first is the default
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # choices of the network; first: the default
    choices: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # forms of the process model by choice; first: the default
    knowledge: tuple[KnowledgeTerm, ...] = ()
    phases: tuple[Phase, ...] = (Phase("all"),)  # of fine-tuning
    perturb: Mapping[str, Perturbation] = field(default_factory=dict)  # by attribute; others: scaled
    mask: str | None = None  # layer [% of the cell] that an active cell must hold, beside land
    weight: tuple[str, ...] = ("areacella", "sftlf")  # layers multiplied to the area that a flux is per
    area: str = "land"  # what that area is, in words
    shown: str = ""  # the flux that maps and charts show; empty: the first
    keywords: tuple[str, ...] = ()  # of the product
    profiles: tuple[tuple[str, ...], ...] = ()  # measured intermediates, top first, that can stand in for the weather
    without_weather: str | None = None  # module:function of what is assumed at sites with such profiles alone
    truth: str | None = None  # module:object of the hidden truth on the synthetic Earth (systems/protocols.py)
    truth_note: str = ""  # what the reader of a table of skill must know of that truth, in sentences
    balance: Mapping[str, float] = field(default_factory=dict)  # measured fluxes whose weighted sum is zero
    storage: Mapping[str, float] = field(default_factory=dict)  # fluxes whose weighted sum is what a store gains
    stored: str = ""  # what that store is, in words
    overpasses: str | None = None  # module:object of models of a moment, by name (systems/protocols.py)
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # forms of that truth, by structural choice
    grown: tuple[str, ...] = ()  # crops of the even and the odd years of that truth, whose yields statistics know
    published: tuple[Published, ...] = ()  # global totals to show
    reference: str = ""  # how it was asked for, where that is not its name

    @property
    def key(self) -> str:
        """The text by which :func:`fluxatlas.systems.get_system` finds it again."""
        return self.reference or self.name

    @property
    def slow_drivers(self) -> tuple[str, ...]:
        """Names of the slow drivers, in order."""
        return tuple(driver.name for driver in self.slow)

    @property
    def permutable(self) -> tuple[str, ...]:
        """Drivers and statics, in order: what can be permuted to see what a model reads."""
        return (*self.forcing, *self.slow_drivers, *self.statics)

    @property
    def monthly(self) -> tuple[str, ...]:
        """Monthly layers that the slow drivers are made of."""
        return tuple(dict.fromkeys(layer for driver in self.slow for layer in driver.layers))

    @property
    def layers(self) -> tuple[str, ...]:
        """Static layers that every cell needs: altitude, for the downscaling of the weather, and those declared."""
        return ("orog", *self.monthly, *self.attributes)

    @property
    def series(self) -> tuple[str, ...]:
        """Gases whose series the slow drivers need."""
        return tuple(driver.series for driver in self.slow if driver.series)

    @property
    def intermediates(self) -> tuple[str, ...]:
        """Outputs of all sub-modules, in order."""
        return tuple(name for part in self.submodules for name in part.outputs)

    @property
    def flux_names(self) -> tuple[str, ...]:
        """Variables of the fluxes, in order."""
        return tuple(flux.variable for flux in self.fluxes)

    @property
    def head_fluxes(self) -> tuple[str, ...]:
        """Fluxes that the head makes, not a sub-module."""
        return tuple(name for name in self.flux_names if name not in self.intermediates)

    @property
    def flux(self) -> str:
        """The variable of the first flux."""
        return self.fluxes[0].variable

    @property
    def measured(self) -> tuple[str, ...]:
        """Outputs, single days of which sites measure."""
        days = {kind.variable for kind in self.observations if kind.support == "day"}
        return tuple(name for name in dict.fromkeys((self.flux, *self.outputs)) if name in days)

    @property
    def shown_flux(self) -> Flux:
        """The flux that maps and charts show."""
        return self.get_flux(self.shown or self.flux)

    @property
    def budgeted_flux(self) -> Flux:
        """The flux whose budget is shown: :attr:`shown_flux`, or where that is never summed the first that is.

        Raises :class:`ConfigError` where no flux has a budget unit.
        """
        found = next((flux for flux in (self.shown_flux, *self.fluxes) if flux.budget_unit), None)
        if found is None:
            raise ConfigError(f"no flux of {self.name} has a budget", hint="give a Flux of it a budget_unit")
        return found

    @property
    def summed(self) -> tuple[str, ...]:
        """Fluxes that have a budget."""
        return tuple(flux.variable for flux in self.fluxes if flux.budget_unit)

    @property
    def simulated(self) -> tuple[str, ...]:
        """What the process model gives for the network to learn: outputs of the sub-modules, then of the head."""
        return (*self.intermediates, *self.head_fluxes)

    @property
    def told(self) -> tuple[str, ...]:
        """Parameters and structural choices of the process model that the network is told."""
        return tuple(dict.fromkeys(n for part in self.submodules for n in (*part.parameters, *part.choices)))

    def terms(self, head: str = "") -> tuple[KnowledgeTerm, ...]:
        """The knowledge terms that the head called ``head`` (empty: the first) leaves open."""
        return tuple(term for term in self.knowledge if (head or self.heads[0]) not in term.guaranteed)

    def measured_by(self, instrument: str) -> tuple[str, ...]:
        """Observed variables that an ``instrument`` (``ObservationKind``) of the synthetic Earth measures."""
        return tuple(kind.variable for kind in self.observations if kind.instrument == instrument)

    def measured_as(self, variable: str) -> str:
        """What readers of site files call the observed ``variable``."""
        return next((kind.measured for kind in self.observations if kind.variable == variable), "") or variable

    def get_flux(self, variable: str) -> Flux:
        """The flux called ``variable``; raises :class:`ConfigError` where the system has none of that name."""
        for flux in self.fluxes:
            if flux.variable == variable:
                return flux
        raise ConfigError(
            f"'{variable}' is not a flux of {self.name}", hint=f"choose from {', '.join(self.flux_names)}"
        )
