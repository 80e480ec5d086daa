"""A flux of a run as the prior of an atmospheric inversion: daily and monthly, to the atmosphere, per area of the cell.

The product has a flux per area of what it comes from (upland soil, wetland), in its own sign and as a mass that may be
of an element; an inversion takes the mass of the gas that the atmosphere gains, per area of the whole cell. The system
declares all of it (``Flux.gas``, ``Flux.upward``, ``Flux.substance``, ``System.weight``). Cells are those of the
product: inversion systems regrid by themselves, with mass kept.

In memory are the layers without time, and one month of a block of cells: it does not grow with the years.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import xarray as xr

from .. import files, variables
from ..errors import ConfigError, InputError, nearest
from ..gases import mass_ratio, molar_mass
from ..products.about import SYNTHETIC_NOTE, About
from ..products.daily import QUALITY
from ..results import RunResults
from ..systems import Flux, System
from .layouts import ExportLayout, get_layout, hemco_config

Array = npt.NDArray[np.float64]
Place = tuple[slice, slice]
ABOUT = "prior.json"
"""What an export says of itself; the file by which an older export is known."""
UNITS = "kg m-2 s-1"
LARGEST_ERROR = 100.0
"""Relative errors are cut here: a flux that happens to be near 0 has an error, not an infinite relative one."""
BLOCK = (60, 60)
"""Rows and columns of a chunk of the product, where it does not say."""
WIDE = 16
"""Chunks that stand side by side in a block; a block of a month is in memory at a time."""


def kilograms(flux: Flux) -> float:
    """What turns ``flux`` as the product has it into kg of its gas per m2 and second to the atmosphere.

    Raises :class:`ConfigError` for a flux that moves no gas, :class:`~fluxatlas.errors.UnitError` for one that is not
    a mass per area and time.
    """
    if not flux.gas:
        raise ConfigError(f"'{flux.variable}' does not move a gas of the atmosphere", where="--flux")
    factor = variables.factor(variables.get(flux.variable).units, UNITS) * mass_ratio(flux.gas, flux.substance)
    return factor if flux.upward else -factor


def export_prior(
    run: RunResults, output: Path, layout: str, flux: str = "", years: str = "", *, error: bool = True
) -> dict[str, Any]:
    """Write folder ``output`` with ``<run>_<flux>_<daily|monthly>_<year>.nc``; return what ``prior.json`` says of it.

    Each file has the flux (time, lat, lon) [kg m-2 s-1 of the gas, per area of the grid cell, positive to the
    atmosphere], 0 where the product has no cell; with ``error`` its standard uncertainty and the relative error
    sd / |flux| (at most :data:`LARGEST_ERROR`); and by (lat, lon) ``area`` [m2], ``area_fraction`` (share of the cell
    that the flux comes from), ``modelled`` (1 or 0) and the layers of applicability. Monthly values are means of the
    days; the uncertainty of a month is the mean of that of its days, as for errors that all days share, which is what
    members differ by. A day without a value in a cell of the product is given the mean of the other days of its month.

    Raises :class:`ConfigError` for a layout, flux or years that cannot be, and :class:`InputError` for a product
    that is not complete or has no uncertainty; nothing is written then.
    """
    form, chosen = get_layout(layout), _flux(run, flux)
    files.refuse_others(output, ABOUT)
    paths = {year: run.files(chosen.variable)[year] for year in _years(run, chosen.variable, years)}
    for year, path in paths.items():
        _check(path, chosen.variable, year, run.system, error)
    stem = f"{run.folder.resolve().name}_{chosen.variable}"
    about: dict[str, Any] = {
        "layout": layout,
        "run": run.folder.resolve().name,
        "system": run.system.key,
        "flux": chosen.variable,
        "variable": form.value.format(gas=chosen.gas),
        "gas": chosen.gas,
        "units": UNITS,
        "sign": "positive to the atmosphere",
        "factor": kilograms(chosen),
        "total_kg": {},
        "filled_cell_days": {},
    }
    with files.atomic_folder(output) as folder:
        for year, path in paths.items():
            with files.open_netcdf(path) as data:
                job = _Year(data, path, chosen, run.system, form, error)
                total, filled = job.write({step: folder / f"{stem}_{step}_{year}.nc" for step in ("daily", "monthly")})
                title, box = job.title, job.box
            about["total_kg"][str(year)], about["filled_cell_days"][str(year)] = total, filled
        if form.name == "hemco":
            text = hemco_config(title, stem, chosen.gas, (min(paths), max(paths)), box)
            files.write_text(folder / "HEMCO_Config.rc", text)
        files.write_text(folder / ABOUT, json.dumps(about, indent=2) + "\n")
    return about


def _flux(run: RunResults, name: str) -> Flux:
    """The flux called ``name``, or the first of the system; it must be in the product and move a gas."""
    can = [flux.variable for flux in run.system.fluxes if flux.gas and flux.variable in run.variables]
    wanted = name or run.system.flux
    if wanted not in can:
        run.files(wanted)
        raise ConfigError(
            f"'{wanted}' is not a flux of a gas that the product has{nearest(wanted, can)}",
            where="--flux",
            hint=f"choose from {', '.join(can)}" if can else f"no flux of {run.system.name} moves a gas",
        )
    return run.system.get_flux(wanted)


def _years(run: RunResults, variable: str, text: str) -> Sequence[int]:
    have = sorted(run.files(variable))
    match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text or f"{have[0]}-{have[-1]}")
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise ConfigError(f"'{text}' are not years", where="--years", hint="give 2001 or 2001-2003")
    wanted = range(int(match[1]), int(match[2] or match[1]) + 1)
    if lacking := [str(year) for year in wanted if year not in have]:
        raise InputError(
            f"the run has no '{variable}' of {', '.join(lacking)}",
            where=str(run.folder / "products" / "daily"),
            hint=f"it has {', '.join(map(str, have))}: name years without a gap as --years",
        )
    return wanted


def _check(path: Path, variable: str, year: int, system: System, error: bool) -> None:
    """Refuse a file of the product that does not hold what the export needs."""
    days = 366 if calendar.isleap(year) else 365
    with files.open_netcdf(path) as data:
        starts = data["time"].to_numpy().astype("datetime64[D]")
        if starts.size != days or not (starts == np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="M8[D]")).all():
            what = f"the file has {starts.size} days that are not the {days} of {year}"
            raise InputError(what, where=str(path), hint="run it to the end, or leave the year out (--years)")
        if lacking := [name for name in (variable, *system.weight, "applicable") if name not in data]:
            raise InputError(f"no variable '{lacking[0]}'", where=str(path), hint="make the product again")
        if error and f"{variable}_sd" not in data:
            hint = "train more than one member (train.members), or give --no-error"
            raise InputError(f"the run has no uncertainty of '{variable}'", where=str(path), hint=hint)


@dataclass
class _Year:
    """One year of the product on its way to two files."""

    data: xr.Dataset
    path: Path
    flux: Flux
    system: System
    layout: ExportLayout
    error: bool

    def __post_init__(self) -> None:
        self.modelled = self.data["applicable"].notnull().to_numpy()
        self.area = self.data["areacella"].to_numpy().astype(float)
        weight = np.ones(self.area.shape)
        for name in self.system.weight:
            percent = variables.get(name).units == "%"
            weight = weight * self.data[name].to_numpy() / (100.0 if percent else 1.0)
        if not np.isfinite(weight[self.modelled]).all():
            raise InputError("cells with a flux and without an area", where=str(self.path), hint="make it again")
        self.share = np.where(self.modelled, weight, 0.0) / self.area
        self.year = int(self.data["time"].dt.year[0])
        chunks = self.data[self.flux.variable].encoding.get("chunksizes") or (0, *BLOCK)
        self.block = int(chunks[1]), int(chunks[2]) * WIDE
        self.filled = 0

    @property
    def about(self) -> About:
        return About.from_json(self.data.attrs.get("fluxatlas_about", "{}"))

    @property
    def title(self) -> str:
        """Title of the files."""
        words = f"{self.flux.gas} flux of {self.system.area} to the atmosphere, run {self.about.run}"
        return self.about.title(words)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north [degrees]."""
        lat, lon = (self.data[f"{name}_bnds"].to_numpy() for name in ("lat", "lon"))
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def write(self, targets: dict[str, Path]) -> tuple[float, int]:
        """Write ``daily`` and ``monthly``; the mass of the year [kg] and the number of days that were filled."""
        total, stop = 0.0, 0
        with ExitStack() as stack:
            open_ = {
                name: stack.enter_context(netCDF4.Dataset(stack.enter_context(files.atomic(path)), "w"))
                for name, path in targets.items()
            }
            for name, target in open_.items():
                self._create(target, name)
            for month in range(1, 13):
                start, stop = stop, stop + calendar.monthrange(self.year, month)[1]
                for top in range(0, self.modelled.shape[0], self.block[0]):
                    for left in range(0, self.modelled.shape[1], self.block[1]):
                        place = slice(top, top + self.block[0]), slice(left, left + self.block[1])
                        total += self._copy(open_, slice(start, stop), place, month - 1)
        return total, self.filled

    def _copy(self, targets: dict[str, netCDF4.Dataset], days: slice, place: Place, month: int) -> float:
        """Write a month of a block; its mass [kg]. The rows of the product run from north to south."""
        value = self.layout.value.format(gas=self.flux.gas)
        flux = self._block(self.flux.variable, days, place) * kilograms(self.flux)
        layers = {value: (flux, flux.mean(axis=0))}
        if self.error:
            sd = self._block(f"{self.flux.variable}_sd", days, place) * abs(kilograms(self.flux))
            layers[f"{value}_error"] = sd, sd.mean(axis=0)
            pairs = zip(layers[f"{value}_error"], layers[value], strict=True)
            daily, monthly = (_relative(one, mean) for one, mean in pairs)
            layers["relative_error"] = daily, monthly
        rows = self.modelled.shape[0]
        turned = slice(rows - min(place[0].stop, rows), rows - place[0].start)
        for name, (daily, monthly) in layers.items():
            targets["daily"][name][days, turned, place[1]] = daily[:, ::-1]
            targets["monthly"][name][month, turned, place[1]] = monthly[::-1]
        return float((flux.sum(axis=0) * self.area[place]).sum() * 86400.0)

    def _block(self, name: str, days: slice, place: Place) -> Array:
        """Values (day, row, column) per area of the cell, in the unit of the product; 0 where there is no cell."""
        raw = self.data[name][(days, *place)].to_numpy().astype(float)
        modelled = self.modelled[place]
        absent = np.isnan(raw)
        if not absent[:, ~modelled].all() or absent[:, modelled].all(axis=0).any():
            what = f"cells with a value of '{name}' are not those that the product says were run"
            raise InputError(what, where=str(self.path), hint="make the product again")
        gaps = absent & modelled
        if gaps.any():
            self.filled += int(gaps.sum()) if name == self.flux.variable else 0
            days_there = np.maximum((~absent).sum(axis=0), 1)
            raw = np.where(gaps, np.where(absent, 0.0, raw).sum(axis=0) / days_there, raw)
        return np.where(modelled, raw, 0.0) * self.share[place]

    def _create(self, target: netCDF4.Dataset, step: str) -> None:
        """Axes, layers without time, and empty variables."""
        layout, year = self.layout, self.year
        starts = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="M8[D]" if step == "daily" else "M8[M]")
        times = (starts.astype("M8[D]") - np.datetime64(f"{year}-01-01")).astype(float)
        axes = {"time": times, layout.lat: self.data["lat"].to_numpy()[::-1], layout.lon: self.data["lon"].to_numpy()}
        target.setncatts(self._attributes(step))
        for name, attrs in layout.coordinates(f"{year}-01-01", "day" if step == "daily" else "month").items():
            target.createDimension(name, None if name == "time" else axes[name].size)
            target.createVariable(name, "f8", (name,), fill_value=False).setncatts(attrs)
            target[name][:] = axes[name]
        flat: dict[str, tuple[Any, dict[str, Any]]] = {
            layout.area: (
                self.area,
                {"long_name": "area of the grid cell", "units": "m2", "standard_name": "cell_area"},
            ),
            "area_fraction": (self.share, {"long_name": f"share of the cell that is {self.system.area}", "units": "1"}),
            "modelled": (self.modelled, {"long_name": "1 where there is a flux, else 0", "units": "1"}),
        }
        for name in (name for name in QUALITY if name in self.data):
            kept = {
                key: text for key, text in self.data[name].attrs.items() if key in ("long_name", "units", "references")
            }
            if "flag_values" in (attrs := self.data[name].attrs):
                words = zip(attrs["flag_values"], attrs["flag_meanings"].split(), strict=True)
                kept |= {"units": "1", "comment": "; ".join(f"{value}: {word}" for value, word in words)}
            flat[name] = self.data[name].to_numpy(), {"long_name": name, "units": "1", **kept}  # COARDS wants both
        for name, (values, about) in flat.items():
            fill = np.float32(-999.0)
            layer = target.createVariable(name, "f4", (layout.lat, layout.lon), compression="zlib", fill_value=fill)
            layer.setncatts({**about, "missing_value": fill})
            layer[:] = np.where(np.isnan(values), fill, values)[::-1]
        for name, attrs in self._layers().items():
            chunks = (1, *np.minimum(self.block, self.modelled.shape))
            dims = ("time", layout.lat, layout.lon)
            fill = np.float32(1e15)  # never used: there is a number everywhere
            more = target.createVariable(name, "f4", dims, compression="zlib", chunksizes=chunks, fill_value=fill)
            more.setncatts({**attrs, "missing_value": fill, "cell_methods": "time: mean area: mean"})

    def _layers(self) -> dict[str, dict[str, Any]]:
        """Attributes of the variables in time."""
        gas, value = self.flux.gas, self.layout.value.format(gas=self.flux.gas)
        of = f"flux of {gas} from {self.system.area} to the atmosphere ({self.flux.variable})"
        mass = {"units": self.layout.units, "species": gas, "molar_mass": f"{molar_mass(gas):g} g mol-1"}
        name = f"{of}, negative: uptake, mass of {gas} per area of grid cell"
        found: dict[str, dict[str, Any]] = {value: {"long_name": name, **mass}}
        if self.error:
            found[f"{value}_error"] = {"long_name": f"standard uncertainty of the {of}", **mass}
            words = f"standard uncertainty over the absolute flux, at most {LARGEST_ERROR:g}"
            found["relative_error"] = {"long_name": words, "units": "1"}
        return found

    def _attributes(self, step: str) -> dict[str, str]:
        """Global attributes."""
        kept = ("license", "references", "institution", "creator_name", "source")
        attrs = {key: str(self.data.attrs[key]) for key in kept if key in self.data.attrs}
        note = f"{SYNTHETIC_NOTE} " if self.about.synthetic else ""
        sign = "already positive upward" if self.flux.upward else "positive downward in the product, turned here"
        settings = {"layout": self.layout.name, "flux": self.flux.variable, "step": step, "error": self.error}
        return {
            "Conventions": self.layout.conventions,
            "title": f"{self.title}, {step}, {self.year}",
            "comment": f"{note}Positive to the atmosphere, negative: uptake ({self.flux.variable} is {sign}). Per area "
            f"of the whole grid cell: multiply by {self.layout.area} to integrate. 0 where 'modelled' is 0: not "
            "estimated, not known to be none. Cells are those of the product, areas those of a sphere of radius "
            "6371007.2 m. A month is the mean of its days; its error the mean of theirs, as for errors that all days "
            "share.",
            **attrs,
            **files.provenance("export prior", settings, {self.path.name: self.path}),
        }


def _relative(sd: Array, flux: Array) -> Array:
    """``sd`` over the absolute ``flux``, at most :data:`LARGEST_ERROR`; 0 where both are 0."""
    size = np.abs(flux)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(sd > 0, sd / size, 0.0)
    return np.asarray(np.minimum(ratio, LARGEST_ERROR))
