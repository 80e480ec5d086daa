"""Figures drawn at a low resolution for the tests."""

import matplotlib.pyplot as plt

from fluxatlas.config.report import ReportBlock
from fluxatlas.report.catalogue import Inputs, figure_row
from fluxatlas.style import house_style
from fluxatlas.systems import get_system

SMALL = ReportBlock(dpi=60)
SYSTEM = get_system("soil_methane_sink")


def drawn(name, inputs):
    with house_style(SMALL):
        figure = figure_row(name).function()(inputs, SMALL)
        figure.canvas.draw()
    return figure


def labels_inside(name: str, inputs: Inputs) -> None:
    """No label of a map runs off the page."""
    figure = drawn(name, inputs)
    labels = [text for axis in figure.axes for text in (axis.xaxis.label, axis.title) if text.get_text()]
    boxes = [text.get_window_extent() for text in labels]
    plt.close(figure)
    assert boxes and all(box.x0 > -1 and box.x1 < figure.bbox.width + 1 for box in boxes)
    assert all(box.y0 > -1 and box.y1 < figure.bbox.height + 1 for box in boxes)
