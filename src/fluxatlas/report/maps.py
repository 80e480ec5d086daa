"""Maps: the domain, the annual uptake with its uncertainty, and the estimate beside the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .. import variables
from ..config.report import ReportBlock
from ..evaluate.metrics import scores
from ..evaluate.truth import read_truth
from ..files import open_netcdf, read_table
from ..products.regions import biome_names
from ..style import (
    COLORS,
    FAINT,
    MINUS,
    WIDTH,
    MapFrame,
    colorbar,
    draw_sites,
    fixed,
    limits,
    map_step,
    number,
    panel_letters,
    signed,
    unit,
)
from ..systems import Flux, get_system
from ..tiles import coarse
from ..tiles.coarse import Field
from ..tiles.mosaic import Mosaic, TileResult, assemble, read_layer
from ..train.flags import NEAR, OUTSIDE, UNJUDGED
from .catalogue import Inputs

Array = npt.NDArray[np.float64]


def flux_unit(flux: Flux) -> str:
    """The unit of a flux as it is set in a figure."""
    return unit(variables.get(flux.variable).units)


def map_frame(mosaic: Mosaic) -> MapFrame:
    """Where the maps of ``mosaic`` are drawn."""
    land = blocks(mosaic, lambda piece: (_static(piece, "sftlf") >= 50).astype(float))
    return MapFrame(mosaic.grid.lat_bounds(mosaic.rows), mosaic.grid.lon_bounds(mosaic.columns), np.nan_to_num(land))


def blocks(mosaic: Mosaic, field: Field) -> Array:
    """Means of ``field`` over the blocks of cells that a map of ``mosaic`` shows."""
    return coarse.means(mosaic, map_step(mosaic.shape), field)


def _static(piece: TileResult, name: str) -> Array:
    return piece.layers(name)[name].to_numpy()


def _where(piece: TileResult, mask: npt.NDArray[np.bool_], name: str) -> Array:
    """A static layer where ``mask``, else NaN."""
    return np.where(mask, _static(piece, name), np.nan)


def _active(piece: TileResult) -> npt.NDArray[np.bool_]:
    return np.asarray(piece.layers("active")["active"].to_numpy(), bool)


def _panels(frame: MapFrame, count: int, note: bool = False) -> tuple[Figure, list[Any]]:
    """A row of ``count`` maps, or two columns where they are wide; with ``note`` there is room for a line below."""
    columns = count if frame.ratio > 0.6 else 1 if frame.ratio < 0.3 else 2
    columns = min(columns, 3)
    rows = -(-count // columns)
    height = rows * (frame.ratio * (WIDTH / columns - 0.3) + 1.25) + 0.4 * note
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, min(height, 10)), squeeze=False, layout="compressed")
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.remove()
    for place, axis in enumerate(flat[:count]):
        axis.tick_params(labelleft=place % columns == 0)
    return figure, flat[:count]


def ensemble_mean(piece: TileResult, variable: str, years: Sequence[int]) -> Array:
    """Annual mean of a tile (lat, lon), over the members and over ``years``."""
    return _mean(read_layer(piece.year(year), f"{variable}_member").mean(axis=0) for year in years)


def uncertainty(piece: TileResult, variable: str, years: Sequence[int]) -> Array:
    """Standard uncertainty (lat, lon) of the mean of a year at a place of a tile, averaged over ``years``; NaN if
    unknown."""
    return _mean(read_layer(piece.year(year), f"{variable}_year_sd") for year in years)


def _mean(fields: Iterable[Array]) -> Array:
    """Mean of fields of one shape, holding no more than two at a time."""
    count, total = 0, np.zeros(())
    for field in fields:
        total = total + field
        count += 1
    return np.asarray(total / max(count, 1))


def span_of_years(years: Sequence[int]) -> str:
    """The first and the last year as text."""
    return str(years[0]) if years[0] == years[-1] else f"{years[0]}\N{EN DASH}{years[-1]}"


def flux_map(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Annual mean and, where they are known, its uncertainty at a place and the distance from the observed sites."""
    flux = get_system(inputs.system).shown_flux
    mosaic = assemble(inputs.flux, inputs.attributes).around_active()
    frame, years = map_frame(mosaic), mosaic.years
    mean = blocks(mosaic, lambda piece: ensemble_mean(piece, flux.variable, years))
    distance = blocks(mosaic, lambda piece: read_layer(piece.year(years[-1]), "dissimilarity"))
    spread = blocks(mosaic, lambda piece: uncertainty(piece, flux.variable, years))
    known, many = bool(np.isfinite(distance).any()), bool(np.isfinite(spread).any())
    figure, axes = _panels(frame, 1 + many + known, note=not (many and known))
    low, high = limits(mean)
    mesh = frame.draw(axes[0], mean, cmap=settings.colormap, vmin=min(0.0, low) if low < 0.3 * high else low, vmax=high)
    mark_sites(axes[0], inputs)
    colorbar(figure, mesh, axes[0], f"{flux.label}\n{span_of_years(years)} ({flux_unit(flux)})")
    axes[0].set_title("Mean")
    if many:
        mesh = frame.draw(axes[1], spread, cmap="cividis", vmin=0, vmax=limits(spread)[1])
        colorbar(figure, mesh, axes[1], f"standard uncertainty at a place\n({flux_unit(flux)})")
        axes[1].set_title("Uncertainty")
    if known:
        _draw_applicability(figure, axes[-1], frame, distance, mosaic)
    absent = ["one member: no uncertainty"] * (not many) + ["dissimilarity to the observed sites is not known"] * (
        not known
    )
    if absent:
        figure.supxlabel("; ".join(absent).capitalize(), fontsize="small", color=FAINT)
    panel_letters(axes)
    return figure


def mark_sites(axes: Any, inputs: Inputs) -> None:
    """The sites of the run on a map, where their table is given."""
    for path in inputs.sites:
        draw_sites(axes, read_table(path))


def _draw_applicability(figure: Figure, axes: Any, frame: MapFrame, distance: Array, mosaic: Mosaic) -> None:
    mesh = frame.draw(axes, distance, cmap="BuPu", vmin=0, vmax=limits(distance)[1])
    year, flags = mosaic.years[-1], _flags(mosaic)
    cells = sum(flags.values())
    center_lat, center_lon = (0.5 * (edge[1:] + edge[:-1]) for edge in (frame.lat, frame.lon))
    if 0 < flags[NEAR] < cells:
        near = blocks(mosaic, lambda piece: (read_layer(piece.year(year), "applicable") == NEAR).astype(float))
        axes.contour(center_lon, center_lat, np.nan_to_num(near), [0.5], colors=[COLORS[1]], linewidths=0.9)
    judged = max(flags, default=NEAR) > OUTSIDE or not flags[UNJUDGED]
    words = f"outlined: near, {_share(flags[NEAR], cells)}" if judged else "too few to say what is near"
    words += f"\noutside the samples: {_share(flags[OUTSIDE], cells)}" if flags[OUTSIDE] else ""
    colorbar(figure, mesh, axes, f"distance from the observed sites\n{words}")
    axes.set_title("Dissimilarity")


def _flags(mosaic: Mosaic) -> Counter[int]:
    """How many cells of the box have each value of the layer ``applicable`` in the last year."""
    found: Counter[int] = Counter()
    for piece in mosaic.pieces:
        shared = mosaic.overlap(piece)
        if shared:
            flag = read_layer(piece.year(mosaic.years[-1]), "applicable")[shared[1]]
            values, counts = np.unique(flag[np.isfinite(flag)], return_counts=True)
            found.update(dict(zip(values.astype(int).tolist(), counts.tolist(), strict=True)))
    return found


def _share(part: int, whole: int) -> str:
    """``part`` of the cells of ``whole`` in words, so that a few cells are not called none."""
    share = part / max(1, whole)
    return f"{share:.0%} of cells" if share == 0 or share >= 0.01 else "under 1% of cells"


def estimate_and_truth(mosaic: Mosaic, path: Path, variable: str) -> tuple[list[int], Array, Array]:
    """Years that both have, and over these the mean of the members (lat, lon) and the true one.

    Of each cell: where there is a truth, the domain is one that fits into memory.
    """
    truth = read_truth(path, mosaic)
    years = [year for year in mosaic.years if (variable, year) in truth]
    estimate = coarse.means(mosaic, 1, lambda piece: ensemble_mean(piece, variable, years))
    return years, estimate, _mean(truth[variable, year] for year in years)


def truth_map(inputs: Inputs, settings: ReportBlock) -> Figure:
    """True and estimated annual mean and their difference, over the years both have."""
    flux = get_system(inputs.system).shown_flux
    mosaic = assemble(inputs.flux, inputs.attributes).around_active()
    frame = map_frame(mosaic)
    _, estimate, true = estimate_and_truth(mosaic, inputs.one("truth"), flux.variable)
    found = scores(true, estimate, mosaic.weight())
    figure, axes = _panels(frame, 3)
    low, high = limits(np.concatenate([true[np.isfinite(estimate)], estimate[np.isfinite(true)]]))
    for axis, values, title in ((axes[0], true, "Truth"), (axes[1], estimate, "Estimate")):
        mesh = frame.draw(axis, values, cmap=settings.colormap, vmin=low, vmax=high)
        colorbar(figure, mesh, axis, f"{flux.label}\n({flux_unit(flux)})")
        axis.set_title(title)
    error = estimate - true
    widest = max(abs(edge) for edge in limits(error))
    mesh = frame.draw(axes[2], error, cmap="RdBu_r", vmin=-widest, vmax=widest)
    text = f"RMSE {number(found['rmse'])}, bias {signed(found['bias'])}\nr = {fixed(found['r'])}"
    colorbar(figure, mesh, axes[2], f"{text} ({flux_unit(flux)})")
    axes[2].set_title(f"Estimate {MINUS} truth")
    panel_letters(axes)
    return figure


def inputs_map(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Altitude, mean air temperature, share of the cell that fluxes are per, and biome of the domain."""
    system = get_system(inputs.system)
    mosaic = assemble([], inputs.attributes).around_active()
    frame = map_frame(mosaic)
    height = min(0.75 * frame.ratio * WIDTH + 3.2, 10)
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, height), layout="compressed")
    flat = list(axes.ravel())
    flat[1].tick_params(labelleft=False)
    flat[3].tick_params(labelleft=False)
    altitude = blocks(mosaic, lambda piece: _where(piece, _static(piece, "sftlf") >= 50, "orog"))
    low, high = limits(altitude)
    mesh = frame.draw(flat[0], altitude, cmap="cividis", vmin=min(0.0, low) if low < 0.3 * high else low, vmax=high)
    mark_sites(flat[0], inputs)
    colorbar(figure, mesh, flat[0], "m")
    flat[0].set_title("Altitude")
    _draw_temperature(figure, flat[1], frame, inputs.forcing)
    share = blocks(mosaic, lambda piece: _where(piece, _active(piece), system.mask or "sftlf"))
    mesh = frame.draw(flat[2], share, cmap=settings.colormap, vmin=min(limits(share)[0], 90), vmax=100)
    colorbar(figure, mesh, flat[2], "% of the cell")
    flat[2].set_title(system.area.capitalize())
    biome = coarse.firsts(mosaic, frame.step, lambda piece: _where(piece, _active(piece), "biome"))
    _draw_biomes(figure, flat[3], frame, biome)
    panel_letters(flat)
    return figure


def _draw_temperature(figure: Figure, axes: Any, frame: MapFrame, forcing: Sequence[Path]) -> None:
    """Mean of all forcing pieces on their own grid, with the sea left blank where the source is missing."""
    lats, lons, values = _mean_of_pieces(forcing)
    shown = np.ix_(_near(lats, frame.lat), _near(lons, frame.lon))
    low, high = limits(values[shown])
    mesh = axes.pcolormesh(
        lons, lats, np.ma.masked_invalid(values), cmap="inferno", vmin=low, vmax=high, shading="nearest"
    )
    frame.finish(axes)
    colorbar(figure, mesh, axes, "°C, grid of the forcing")
    axes.set_title("Mean air temperature")


def _near(centres: Array, edges: Array) -> npt.NDArray[np.bool_]:
    """Which cells of the source lie in the map, those cut by its edge included; the nearest one at least."""
    half = 0.5 * float(np.abs(np.diff(centres)).min()) if len(centres) > 1 else np.inf
    near: npt.NDArray[np.bool_] = (centres > edges.min() - half) & (centres < edges.max() + half)
    return near if near.any() else np.abs(centres - edges.mean()) <= np.abs(centres - edges.mean()).min()


def _mean_of_pieces(forcing: Sequence[Path]) -> tuple[Array, Array, Array]:
    """Latitudes from the north, longitudes from the west, mean air temperature [degC] (lat, lon) of all pieces."""
    parts = []
    for path in forcing:
        with open_netcdf(path) as piece:
            mean = piece["tas"].astype(np.float64).mean("time").to_numpy() - 273.15
            parts.append((*(np.round(piece[name].to_numpy().astype(float), 4) for name in ("lat", "lon")), mean))
    lats, lons = (np.unique(np.concatenate([part[axis] for part in parts])) for axis in (0, 1))
    total, count = np.zeros((len(lats), len(lons))), np.zeros((len(lats), len(lons)))
    for lat, lon, mean in parts:
        cells = np.ix_(np.searchsorted(lats, lat), np.searchsorted(lons, lon))
        total[cells] += mean
        count[cells] += 1
    return lats[::-1], lons, (total / np.where(count, count, np.nan))[::-1]


def _draw_biomes(figure: Figure, axes: Any, frame: MapFrame, biome: Array) -> None:
    classes = [int(c) for c in np.unique(biome[np.isfinite(biome)])]
    index = np.searchsorted(np.asarray(classes or [0]), np.nan_to_num(biome, nan=-1)).astype(float)
    index[~np.isfinite(biome)] = np.nan
    many: Any = [plt.get_cmap("tab20")(n) for n in range(20)] if len(classes) > len(COLORS) else COLORS
    palette = ListedColormap(many[: max(1, len(classes))])
    edges = np.arange(len(classes) + 1) - 0.5 if classes else np.array([-0.5, 0.5])
    frame.draw(axes, index, cmap=palette, norm=BoundaryNorm(edges, palette.N))
    names = biome_names()
    handles = [Patch(color=palette(n), label=names.get(c, f"class {c}")) for n, c in enumerate(classes)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title="Biome")
    axes.set_title("Biome")
