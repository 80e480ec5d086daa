"""What the objects that a :class:`~fluxatlas.systems.System` names must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..theta import Theta

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

FloatArray = npt.NDArray[np.floating[Any]]
Arrays = Mapping[str, FloatArray]


class ProcessModel(Protocol):
    """A process model: pure functions of arrays. Its structural choices are ``System.choices``."""

    def simulate(
        self,
        drivers: Arrays,
        attributes: Arrays,
        *,
        lat: FloatArray,
        dates: pd.DatetimeIndex,
        spinup_years: int,
        theta: Theta | None = None,
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell) by name: all of ``System.simulated``.

        ``drivers`` (time, cell), ``attributes`` (cell,); ``theta`` parameters and structure of every cell, otherwise
        the defaults.
        """
        ...

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Properties (cell,) derived from ``attributes`` (cell,), such as the porosity; the same for all stages."""
        ...

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """The attributes (cell,) that have the given ``statics``; the inverse of :meth:`derive`."""
        ...


class ProfileModel(ProcessModel, Protocol):
    """A process model whose last part also runs under measured profiles, for systems with ``System.profiles``."""

    def from_profiles(
        self,
        soil: Arrays,
        drivers: Arrays,
        attributes: Arrays,
        *,
        theta: Theta | None = None,
    ) -> dict[str, FloatArray]:
        """Those of the outputs that follow from measured ``soil`` profiles (time, cell), NaN on days without them.

        ``drivers`` and ``soil`` are what ``System.without_weather`` gives. ``theta`` as in ``simulate``.
        """
        ...


class Truth(Protocol):
    """What the soils of the synthetic Earth really do; see :mod:`fluxatlas.testing.truth`.

    An attribute ``undisturbed`` (number by name), where there is one, holds hidden parameters as they are where sites
    stand: what happens elsewhere, towers do not see.
    """

    def parameters(
        self,
        temperature: FloatArray,
        attributes: Arrays,
        monthly: Arrays,
        waves: Callable[[str], FloatArray],
        scatter: Callable[[str], FloatArray] | None = None,
    ) -> dict[str, FloatArray]:
        """Hidden parameters (cell,) of places with a mean ``temperature`` [degC], attributes (cell,) and monthly layers
        (12, cell); ``waves(name)`` is a smooth random field (cell,) of unit variance.

        ``scatter(name)`` is given in the world ``realistic`` alone: normal deviates (cell,) without memory in space.
        The truth makes of them what no attribute tells: between sites the logarithm of the flux of the year has an sd
        of 0.9, 70 % of its variance unexplained.
        """
        ...

    def simulate(
        self, drivers: Arrays, attributes: Arrays, hidden: Arrays, *, lat: FloatArray, dates: pd.DatetimeIndex
    ) -> dict[str, FloatArray]:
        """Daily outputs (time, cell) under ``drivers`` (time, cell), spun up on the first year."""
        ...


class OverpassModel(Protocol):
    """Estimates of fluxes at one moment from what a satellite knows of it (:mod:`fluxatlas.evaluate.overpasses`)."""

    def __call__(self, known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int, /) -> pd.DataFrame:
        """Fluxes of the rows ``asked`` (``rows`` of :class:`fluxatlas.ingest.sites.overpasses.Overpasses`), a column
        per variable, from rows that are ``known`` with what their towers ``measured``.
        """
        ...


Physics = Callable[[Mapping[str, "Tensor"], Mapping[str, "Tensor"]], dict[str, "Tensor"]]
"""``(raw, known) -> values``: all outputs of the last sub-module in closed form, (time, cell) by name. ``raw`` are what
it learned, zero at first, for bounded corrections; ``known`` holds drivers, statics, earlier outputs, and parameters
and codes of the structure of the process model (cell,)."""


@dataclass(frozen=True)
class Head:
    """From the outputs of the sub-modules to the fluxes.

    ``function`` takes tensors (time, cell) by name (drivers, statics, outputs) and returns those in ``makes``;
    ``reads`` are what it needs. ``drivers`` and ``outputs`` are added to the last sub-module. With ``physics`` the last
    sub-module remembers nothing: what it learns is linear in its inputs and enters there.
    """

    function: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    drivers: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    physics: Physics | None = None


Bound = Callable[["Tensor", Mapping[str, "Tensor"], Any, Mapping[str, str]], "Tensor"]
"""``(raw, known, scaler, options) -> value``: raw output of a sub-module to a physical value inside its bounds, both
(time, cell); ``known`` holds drivers, statics, earlier outputs, parameters and codes, ``options`` the choices of the
architecture."""


@dataclass(frozen=True)
class KnowledgeProbe:
    """What a knowledge function may look at.

    ``outputs`` of the network (time, cell) for the batch at hand, ``known`` its drivers (time, cell) and statics
    (cell,), and the ``network`` itself, to be run under made-up conditions for the first ``sites`` cells of the batch
    with their parameters ``theta`` (cell,). ``reference`` is the network before the observations of sites, or None
    before there are any.
    """

    network: Any
    outputs: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    sites: int
    theta: Mapping[str, Tensor] = field(default_factory=dict)
    reference: Any = None


@dataclass(frozen=True)
class NetworkParts:
    """What is special about the network of a system; all else is shared.

    ``heads`` by name, in the order of ``System.heads``; ``bounds`` by output (others: by the transform of the variable
    table, see :mod:`fluxatlas.train.networks.bounds`); ``knowledge``: functions ``(Probe) -> penalty`` by name of the
    term; ``events`` end the totals of sub-modules: ``known`` to 1 on a day that ends one and 0 on others (time, cell);
    ``checks``: outputs (time, cell) by name to whether they break an identity there, beyond its tolerance.
    """

    heads: Mapping[str, Head]
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    knowledge: Mapping[str, Callable[[KnowledgeProbe], Tensor]] = field(default_factory=dict)
    events: Mapping[str, Callable[[Mapping[str, Tensor]], Tensor]] = field(default_factory=dict)
    checks: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
