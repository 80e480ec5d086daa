"""Synthetic samples: the process model over sampled weather, soils, parameters and structures.

Series are made in groups that share their days, simulated in batches and appended to one file, so that memory does not
grow with their number. A series that leaves the valid range of a variable is dropped, counted and replaced.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .. import files, variables
from ..config.names import wrong_structures
from ..config.synthesize import SynthesizeBlock
from ..drivers import slow_drivers
from ..errors import ConfigError, InputError
from ..gases import AnnualSeries
from ..grid import Grid
from ..ingest.atmosphere import series_of
from ..loading import load_object
from ..systems import System
from ..theta import Theta, draw
from ..tiles.soil import derive_statics
from .samples_file import Samples, SamplesFile
from .sampling import draw_places, jitter, mixtures, spatial_block, strata
from .weather import YEAR, FloatArray, GridWeather, PathLike, SeriesWeather, SiteWeather
from .world import elsewhere

Arrays = dict[str, FloatArray]

ROUNDS = 8
"""Attempts to replace dropped series before giving up."""


@dataclass
class SamplesSummary:
    """What was made: series and days kept, series dropped, seconds."""

    series: int
    site_days: int
    dropped: int
    seconds: float


def synthesize(
    output: PathLike,
    *,
    grid: Grid,
    tile_size: int,
    system: System,
    attributes: Sequence[PathLike] = (),
    forcing: Sequence[PathLike] = (),
    sites_attributes: PathLike | None = None,
    sites_forcing: PathLike | None = None,
    settings: SynthesizeBlock | None = None,
    series: Sequence[str] = (),
) -> SamplesSummary:
    """Write at least ``settings.site_days`` synthetic site-days to ``output`` (see docs/contracts.md).

    ``attributes`` are files ``<tile>.nc``, ``forcing`` pieces ``<tile>/<year>.nc``; the site files add the weather of
    sites; ``series`` are files of the atmosphere, ``gas=path``, to use instead of the tables of fluxatlas
    (:func:`fluxatlas.ingest.atmosphere.series_of`).
    Without ``attributes`` of tiles all weather is that of the sites, with soils over the joint range of the sites'
    (:func:`.sampling.mixtures`).
    Same seed, same inputs: same samples. Raises :class:`InputError` where there is no active cell, no forcing of
    consecutive years, without tiles no site with weather or none with all attributes, or where nearly all series leave
    the valid ranges; :class:`ConfigError` for an unknown structure.
    """
    settings = settings or SynthesizeBlock()
    _check_structures(system, settings)
    years, method = settings.years, settings.regrid
    cells = None
    if attributes:
        cells = GridWeather(grid, tile_size, system, attributes, forcing, years=years, method=method)
        if not len(cells):
            raise InputError("no tile has an active cell to sample", hint="widen the domain, or look at the attributes")
    known = series_of(system.slow, series)
    sites = None
    if sites_attributes and sites_forcing and (settings.include_sites > 0 or not cells):
        sites = SiteWeather(system, sites_attributes, sites_forcing, years=settings.years, series=known)
    if not cells and not (sites and sites.sites):
        hint = f"a site needs {years * YEAR} days in a row with all drivers: {', '.join(system.forcing)}"
        raise InputError("no site has weather of its own to sample", where=str(sites_forcing or ""), hint=hint)
    inputs = {f"attributes {n}": path for n, path in enumerate(attributes)}
    inputs |= {f"forcing {n}": path for n, path in enumerate(forcing)}
    if sites:
        inputs |= {"sites": str(sites_attributes), "sites forcing": str(sites_forcing)}
    inputs |= {gas: given.source for gas, given in known.items() if not given.carried}
    attrs = files.provenance("synthesize samples", settings.model_dump(mode="json"), inputs)
    return _Generator(system, settings, cells, sites, known).write(output, attrs)


def _check_structures(system: System, settings: SynthesizeBlock) -> None:
    wrong = list(wrong_structures(settings.exclude or {}, system))
    if wrong:
        raise ConfigError("; ".join(wrong), hint="correct synthesize.exclude")


class _Generator:
    """Draws groups of series, simulates them and hands them on."""

    def __init__(
        self,
        system: System,
        settings: SynthesizeBlock,
        cells: GridWeather | None,
        sites: SiteWeather | None,
        series: Mapping[str, AnnualSeries],
    ) -> None:
        self.system, self.settings, self.cells, self.sites, self.series = system, settings, cells, sites, series
        self.wanted = -(-settings.site_days // (settings.years * YEAR))
        self.limits = {name: variables.get(name).valid for name in system.attributes}
        self.priors = load_object(system.priors)()
        self.dropped = 0
        if cells:
            self.pool, self.pool_monthly = cells.pool()
        elif sites:
            self.pool, self.pool_monthly = sites.pool()

    def write(self, output: PathLike, attrs: dict[str, str]) -> SamplesSummary:
        begin, kept, told = time.perf_counter(), 0, 0
        stratum = strata(self.cells.features(), self.settings.strata) if self.cells else np.zeros(1, np.int64)
        with SamplesFile(output, self.system, self.settings.years * YEAR) as file:
            for number in range(ROUNDS):
                rng = np.random.default_rng([self.settings.seed, number])
                for samples in self._samples(self.wanted - kept, stratum, rng):
                    file.append(samples.take(np.arange(min(len(samples), self.wanted - kept))))
                    kept = len(file)
                    if 10 * kept // self.wanted > told:
                        told = 10 * kept // self.wanted
                        print(f"synthesize: {kept} of {self.wanted} series, {time.perf_counter() - begin:.1f} s",
                              file=sys.stderr, flush=True)  # fmt: skip
                if kept == self.wanted:
                    break
            else:
                raise InputError(
                    f"{self.dropped} series left the valid ranges, only {kept} of {self.wanted} did not",
                    where=str(output),
                    hint="check units and values of forcing and attributes",
                )
            days = kept * self.settings.years * YEAR
            file.finish({**attrs, "site_days": days, "series_dropped": self.dropped, "strata": int(stratum.max()) + 1})
        return SamplesSummary(kept, days, self.dropped, time.perf_counter() - begin)

    def _samples(self, count: int, stratum: npt.NDArray[np.int64], rng: np.random.Generator) -> Iterator[Samples]:
        """About ``count`` series (a few more, as each sampled cell has all its draws), in batches, those valid."""
        of_sites = round(self.settings.include_sites * count) if self.sites and self.sites.sites else 0
        if self.cells:
            places = draw_places(stratum, -(-(count - of_sites) // self.settings.draws), rng)
            for tile, year, chosen in self.cells.groups(places, rng):
                weather = self.cells.weather(tile, year, places[chosen])
                yield from self._group(weather, np.repeat(np.arange(len(chosen)), self.settings.draws), rng)
        else:
            of_sites = count
        if of_sites and self.sites:
            for site, start, number in self.sites.groups(of_sites, rng):
                yield from self._group(self.sites.weather(site, start), np.zeros(number, np.int64), rng)

    def _group(
        self, weather: SeriesWeather, repeats: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Samples]:
        """Samples of the series ``repeats`` of ``weather``; what is drawn is drawn for all before the first batch."""
        whole = replace(
            weather,
            lat=weather.lat[repeats],
            lon=weather.lon[repeats],
            attributes={name: v[repeats] for name, v in weather.attributes.items()},
            monthly={name: v[:, repeats] for name, v in weather.monthly.items()},
        )
        known, monthly = self._complete(whole, rng)
        if self.settings.world_soils > 0:
            known, monthly = elsewhere(known, monthly, self.settings.world_soils, rng)
        soil = jitter(known, self.settings.jitter, self.limits, rng, self.system.perturb)
        sampled = self.settings.structures == "sampled"
        theta = draw(self.priors, self.system.choices, len(repeats), rng, self.settings.exclude, sampled)
        for begin in range(0, len(repeats), self.settings.batch):
            part = slice(begin, begin + self.settings.batch)
            batch = SeriesWeather(
                weather.dates,
                {name: np.ascontiguousarray(v[:, repeats[part]], np.float32) for name, v in weather.forcing.items()},
                whole.lat[part],
                whole.lon[part],
                {name: v[part] for name, v in soil.items()},
                {name: v[:, part] for name, v in monthly.items()},
            )
            yield self._simulate(batch, theta.take(part))

    def _simulate(self, weather: SeriesWeather, theta: Theta) -> Samples:
        """Run the series of ``weather`` with parameters and structures ``theta``, and keep the valid ones."""
        slow = slow_drivers(self.system.slow, weather.dates, weather.lat, weather.monthly, self.series)
        drivers: dict[str, FloatArray] = {**weather.forcing, **slow}
        daily = load_object(self.system.process).simulate(
            drivers,
            weather.attributes,
            lat=weather.lat,
            dates=weather.dates,
            spinup_years=self.settings.spinup_years,
            theta=theta,
        )
        series = {**drivers, **{name: daily[name] for name in self.system.simulated}}
        block = spatial_block(weather.lat, weather.lon, self.settings.block_degrees)
        statics = derive_statics(weather.attributes, self.system)
        samples = Samples(weather.dates[0], weather.lat, weather.lon, block, series, statics, theta)
        valid = samples.valid()
        self.dropped += int((~valid).sum())
        return samples.take(np.flatnonzero(valid))

    def _complete(self, weather: SeriesWeather, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        """Attributes and monthly layers of ``weather``; what is unknown is that of one donor per series.

        The donor is an active cell. Without cells it is a site that knows all, and the soil is one between that of the
        place and the donor's.
        """
        donor = rng.integers(len(next(iter(self.pool.values()))), size=len(weather.lat))
        if self.cells:
            known = {
                name: np.where(np.isfinite(values), values, self.pool[name][donor])
                for name, values in weather.attributes.items()
            }
        else:
            known = mixtures(weather.attributes, self.pool, donor, rng)
        monthly = {
            name: np.where(np.isfinite(values), values, self.pool_monthly[name][:, donor])
            for name, values in weather.monthly.items()
        }
        return known, monthly
