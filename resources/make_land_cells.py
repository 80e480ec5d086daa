"""Make ``land_cells_4km.csv``: the number of 4 km cells with land at their centre in each box of one degree.

Run once: ``python resources/make_land_cells.py``. Source of the mask: package global-land-mask 1.0.0, which carries the
GLOBE elevation model's ocean mask at 1 km (doi:10.7289/V52R3PMS).
"""

import numpy as np
from global_land_mask import globe

from fluxatlas.files import write_text
from fluxatlas.grid import get_grid
from fluxatlas.paths import RESOURCES


def main() -> None:
    """Count and write, one row of boxes at a time."""
    grid = get_grid("4km")
    n = grid.per_degree
    lines = [
        "# 4 km cells with land at their centre, per box of one degree: 180 rows from 90 N, 360 columns from 180 W.",
        "# Made by resources/make_land_cells.py from package global-land-mask.",
    ]
    for row in range(180):
        lat, lon = np.meshgrid(grid.lat(slice(row * n, (row + 1) * n)), grid.lon(), indexing="ij")
        land = globe.is_land(lat, lon).reshape(n, 360, n)
        lines.append(",".join(str(count) for count in land.sum(axis=(0, 2))))
    write_text(RESOURCES / "land_cells_4km.csv", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
