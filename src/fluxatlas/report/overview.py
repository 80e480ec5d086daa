"""The picture of a run at a glance, for a README or a talk: estimate, truth, spread, and cell against cell."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..config.report import ReportBlock
from ..evaluate.metrics import scores
from ..style import COLORS, WIDTH, colorbar, fixed, limits, panel_letters
from ..systems import get_system
from ..tiles.mosaic import assemble
from .catalogue import Inputs
from .maps import blocks, estimate_and_truth, flux_unit, map_frame, span_of_years, uncertainty

Array = npt.NDArray[np.float64]


def overview(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Estimated and true annual mean on one scale, the uncertainty, and estimate against truth by cell.

    With ``dpi`` 222 the picture is 1600 pixels wide.
    """
    mosaic = assemble(inputs.flux, inputs.attributes).around_active()
    flux = get_system(inputs.system).shown_flux
    years, estimate, true = estimate_and_truth(mosaic, inputs.one("truth"), flux.variable)
    frame = map_frame(mosaic)
    width = (WIDTH - 0.9) / 4
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, frame.ratio * width + 1.15), layout="compressed")
    low, high = limits(np.concatenate([true[np.isfinite(estimate)], estimate[np.isfinite(true)]]))
    for axis, values, title in ((axes[0], estimate, "Estimate"), (axes[1], true, "Hidden truth")):
        mesh = frame.draw(axis, values, cmap=settings.colormap, vmin=low, vmax=high)
        axis.set_title(title)
    label = f"{flux.label}, {span_of_years(years)} ({flux_unit(flux)})"
    colorbar(figure, mesh, list(axes[:2]), label, aspect=52)
    spread = blocks(mosaic, lambda piece: uncertainty(piece, flux.variable, years))
    mesh = frame.draw(axes[2], spread, cmap="cividis", vmin=0, vmax=limits(spread)[1])
    colorbar(figure, mesh, axes[2], "standard uncertainty", ticks=3, aspect=23)
    axes[2].set_title("Uncertainty")
    for axis in axes[1:3]:
        axis.tick_params(labelleft=False)
    _draw_cells(axes[3], estimate, true, mosaic.weight(), frame.ratio)
    panel_letters(axes)
    return figure


def _draw_cells(axis: Any, estimate: Array, true: Array, weight: Array, ratio: float) -> None:
    """Density of the cells, as tall as the maps beside it."""
    both = np.isfinite(estimate) & np.isfinite(true)
    span = (min(0.0, float(true[both].min())), 1.02 * float(max(true[both].max(), estimate[both].max())))
    axis.hexbin(true[both], estimate[both], gridsize=32, extent=(*span, *span), cmap="Greys", norm=LogNorm(), mincnt=1)
    axis.plot(span, span, color=COLORS[1], linewidth=0.9)
    found = scores(true, estimate, weight)
    text = f"r = {fixed(found['r'])}\nRMSE {fixed(found['rmse'])}"
    axis.text(0.04, 0.97, text, transform=axis.transAxes, va="top", fontsize="small")
    axis.set(xlim=span, ylim=span, xlabel="synthetic truth", box_aspect=ratio, title="Cell by cell")
    axis.set_ylabel("estimate", labelpad=1)
