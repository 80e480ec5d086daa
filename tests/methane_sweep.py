"""The sweep of the methane column written out for one cell, for tests of the model and of what it solves."""

import numpy as np

from fluxatlas.process.methane_column import DAY, NODE_THICKNESS, NODES


def column_profile(
    diffusivity: np.ndarray, rate: np.ndarray, c0: float, production: np.ndarray | float = 0.0, resistance: float = 0.0
) -> tuple[np.ndarray, float]:
    """Concentration [mg m-3] at :data:`NODE_CENTRES` and net uptake [mg m-2 d-1] of one column.

    ``diffusivity`` [m2 s-1] and ``rate`` [s-1] are given per node, ``production`` [mg m-3 s-1], ``resistance`` [s
    m-1] above the soil.
    """
    dz, half = NODE_THICKNESS, 0.5 * NODE_THICKNESS / diffusivity
    made = np.broadcast_to(production, dz.shape) * dz
    conductance, returned = rate * dz, made.copy()
    for node in range(NODES - 2, -1, -1):
        passed = 1.0 / (1.0 + (half[node] + half[node + 1]) * conductance[node + 1])
        conductance[node] += conductance[node + 1] * passed
        returned[node] += returned[node + 1] * passed
    profile, c, apart = np.empty(NODES), c0, resistance + half[0]
    for node in range(NODES):
        apart = half[node - 1] + half[node] if node else apart
        c = (c + apart * returned[node]) / (1.0 + apart * conductance[node])
        profile[node] = c
    return profile, DAY * (c0 - profile[0]) / (resistance + half[0])
