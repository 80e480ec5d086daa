"""The file of synthetic samples, appended to batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..systems import System
from ..theta import Theta

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

CHUNK = 64
"""Series per chunk on disk."""


@dataclass(frozen=True)
class Samples:
    """Series of one batch from ``first_day`` on: ``series`` (time, n), ``statics`` (n,), ``block`` (n,), and the
    parameters and structure of the process model ``theta`` (n,) that made them."""

    first_day: pd.Timestamp
    lat: FloatArray
    lon: FloatArray
    block: IntArray
    series: dict[str, FloatArray]
    statics: dict[str, FloatArray]
    theta: Theta

    def __len__(self) -> int:
        return len(self.lat)

    def take(self, chosen: IntArray) -> Samples:
        """The series at positions ``chosen``."""
        return Samples(
            self.first_day,
            self.lat[chosen],
            self.lon[chosen],
            self.block[chosen],
            {name: values[:, chosen] for name, values in self.series.items()},
            {name: values[chosen] for name, values in self.statics.items()},
            self.theta.take(chosen),
        )

    def valid(self) -> npt.NDArray[np.bool_]:
        """Whether every value of a series is finite and in the valid range of its variable, shape (n,)."""
        good = np.ones(len(self), bool)
        for name, values in {**self.series, **self.statics}.items():
            low, high = variables.get(name).valid
            good &= ((values >= low) & (values <= high)).reshape(-1, len(self)).all(axis=0)
        return good


class SamplesFile:
    """A context that appends :class:`Samples`; the file gets its name only if the context ends well."""

    def __init__(self, path: str | Path, system: System, days: int) -> None:
        self.path, self.system, self.days = path, system, days
        self._count, self._draws = 0, dict[tuple[float, float], int]()
        self._stack = ExitStack()

    def __enter__(self) -> SamplesFile:
        partial = self._stack.enter_context(files.atomic(self.path))
        self._file = self._stack.enter_context(netCDF4.Dataset(partial, "w", format="NETCDF4"))
        self._file.createDimension("site", None)
        self._file.createDimension("time", self.days)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, problem, trace)

    def __len__(self) -> int:
        """Series written so far."""
        return self._count

    def append(self, samples: Samples) -> None:
        """Write ``samples`` behind those already there."""
        if not len(samples):
            return
        if not self._count:
            self._define(samples)
        span = slice(self._count, self._count + len(samples))
        first_day = (samples.first_day - pd.Timestamp("1970-01-01")).days
        fixed = {"lat": samples.lat, "lon": samples.lon, "block": samples.block, "draw": self._number(samples)}
        for name, values in {**fixed, **samples.statics, **samples.theta.all()}.items():
            self._file[name][span] = values
        self._file["first_day"][span] = np.full(len(samples), first_day)
        for name, values in samples.series.items():
            self._file[name][span] = values.T
        self._count = span.stop

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Add global attributes."""
        self._file.setncatts({"title": f"Synthetic samples of {self.system.title.lower()}", **attrs})

    def _number(self, samples: Samples) -> IntArray:
        """Running number of each series at its place."""
        numbers = np.empty(len(samples), np.int64)
        for position, place in enumerate(zip(samples.lat.tolist(), samples.lon.tolist(), strict=True)):
            numbers[position] = self._draws.get(place, 0)
            self._draws[place] = int(numbers[position]) + 1
        return numbers

    def _define(self, samples: Samples) -> None:
        file = self._file
        days = file.createVariable("time", "i4", ("time",))
        days.setncatts({"standard_name": "time", "units": f"days since {samples.first_day:%Y-%m-%d}"})
        days.setncatts({"calendar": "standard", "comment": "days of the first series; others begin on first_day"})
        days[:] = np.arange(self.days)
        for name, kind, attrs in (
            ("lat", "f8", {"standard_name": "latitude", "units": "degrees_north"}),
            ("lon", "f8", {"standard_name": "longitude", "units": "degrees_east"}),
            ("block", "i8", {"long_name": "spatial block"}),
            ("draw", "i4", {"long_name": "number of the series at its place"}),
            ("first_day", "i4", {"long_name": "first day of the series", "units": "days since 1970-01-01"}),
        ):
            file.createVariable(name, kind, ("site",)).setncatts(attrs)
        for name in samples.statics:
            file.createVariable(name, "f4", ("site",)).setncatts(variables.get(name).attrs)
        for name in samples.theta.values:
            about = {"long_name": f"parameter {name} of the process model"}
            file.createVariable(name, "f4", ("site",)).setncatts(about)
        for name in samples.theta.forms:
            forms = self.system.choices[name]
            code: netCDF4.Variable = file.createVariable(name, "i1", ("site",))
            code.setncatts({"long_name": f"form of {name} in the process model", "flag_meanings": " ".join(forms)})
            code.flag_values = np.arange(len(forms), dtype=np.int8)
        for name in samples.series:
            variable: netCDF4.Variable = file.createVariable(
                name,
                "f4",
                ("site", "time"),
                compression="zstd",
                complevel=1,
                shuffle=True,
                fletcher32=True,
                chunksizes=(CHUNK, self.days),
            )
            files.shuffle(variable)
            variable.setncatts({**variables.get(name).attrs, "coordinates": "lat lon draw block"})
