"""What a system declares: everything the shared chain must know to estimate one kind of flux.

A system is data. The stages read it; none of them knows a system by name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Submodule:
    """One recurrent part of the network hierarchy.

    ``drivers`` are daily inputs, ``upstream`` are outputs of earlier sub-modules, ``statics`` are inputs fixed in time;
    ``outputs`` are its daily outputs in physical units (names of the variable table).
    """

    name: str
    drivers: tuple[str, ...]
    upstream: tuple[str, ...]
    statics: tuple[str, ...]
    outputs: tuple[str, ...]


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
class KnowledgeTerm:
    """A soft constraint: name, variables it reads, default weights in pretraining and fine-tuning, source."""

    name: str
    reads: tuple[str, ...]
    pretrain: float
    finetune: float
    source: str


@dataclass(frozen=True)
class System:
    """A declaration of what is estimated and how; see the fields' comments."""

    name: str
    title: str
    forcing: tuple[str, ...]  # daily variables of the forcing pieces
    slow: tuple[SlowDriver, ...]  # daily inputs made of monthly layers and series of the atmosphere
    attributes: tuple[str, ...]  # static layers a cell must have
    statics: tuple[str, ...]  # static inputs of the network: attributes and properties derived from them
    submodules: tuple[Submodule, ...]
    head: str  # name of the physical head in train/networks
    flux: str  # the variable observed by chambers and towers
    outputs: tuple[str, ...]  # daily variables of the product
    knowledge: tuple[KnowledgeTerm, ...]
    published: tuple[tuple[str, float, float, str], ...]  # (source, low, high, tag): global totals to show, Tg yr-1

    @property
    def slow_drivers(self) -> tuple[str, ...]:
        """Names of the slow drivers, in order."""
        return tuple(driver.name for driver in self.slow)

    @property
    def monthly(self) -> tuple[str, ...]:
        """Monthly layers that the slow drivers are made of."""
        return tuple(dict.fromkeys(layer for driver in self.slow for layer in driver.layers))

    @property
    def series(self) -> tuple[str, ...]:
        """Gases whose series the slow drivers need."""
        return tuple(driver.series for driver in self.slow if driver.series)

    @property
    def intermediates(self) -> tuple[str, ...]:
        """Outputs of all sub-modules, in order."""
        return tuple(name for part in self.submodules for name in part.outputs)
