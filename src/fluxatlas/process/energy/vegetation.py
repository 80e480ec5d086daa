"""Coefficients of PML-V2 by class of vegetation (IGBP)."""

from __future__ import annotations

NAMES = (
    "quantum_yield", "co2_slope", "stomatal_slope", "carboxylation", "vpd_sensitivity", "light_extinction",
    "radiation_extinction", "leaf_storage", "wet_evaporation", "vpd_low", "vpd_high", "canopy_height",
)  # fmt: skip
"""Names in the table of parameters, in the order of the rows of :data:`CLASSES`."""

_ROWS = {
    "ENF": (0.041, 0.069, 8.316, 13.133, 0.501, 0.914, 0.899, 0.123, 0.055, 0.657, 6.203, 15.0),
    "DNF": (0.041, 0.069, 8.316, 13.133, 0.501, 0.914, 0.899, 0.123, 0.055, 0.657, 6.203, 15.0),
    "EBF": (0.048, 0.024, 10.602, 13.875, 0.536, 0.914, 0.899, 0.098, 0.085, 0.664, 4.570, 25.0),
    "DBF": (0.029, 0.022, 10.930, 10.805, 0.552, 0.480, 0.895, 0.069, 0.010, 0.664, 6.305, 20.0),
    "MF": (0.029, 0.036, 8.539, 15.930, 0.501, 0.593, 0.680, 0.131, 0.010, 0.657, 3.500, 18.0),
    "CSH": (0.029, 0.063, 6.320, 12.812, 0.575, 0.691, 0.895, 0.014, 0.010, 1.492, 4.086, 1.5),
    "OSH": (0.029, 0.063, 6.320, 12.812, 0.575, 0.691, 0.895, 0.014, 0.010, 1.492, 4.086, 0.8),
    "WSA": (0.044, 0.035, 6.500, 13.000, 0.747, 0.753, 0.848, 0.174, 0.109, 0.664, 3.938, 8.0),
    "SAV": (0.029, 0.036, 9.031, 15.809, 0.809, 1.000, 0.895, 0.049, 0.055, 1.032, 3.695, 4.0),
    "GRA": (0.034, 0.027, 6.250, 46.375, 0.544, 0.722, 0.895, 0.114, 0.023, 0.664, 3.625, 0.4),
    "WET": (0.026, 0.038, 25.755, 16.070, 2.000, 0.644, 0.899, 0.010, 0.010, 1.399, 6.500, 0.6),
    "CRO": (0.029, 0.069, 8.404, 20.181, 0.696, 0.100, 0.899, 0.010, 0.158, 1.213, 3.500, 0.8),
}
CLASSES: dict[str, dict[str, float]] = {name: dict(zip(NAMES, row, strict=True)) for name, row in _ROWS.items()}
"""Coefficients of the canopy by class of vegetation (IGBP), as published for PML-V2: Zhang et al. (2019,
doi:10.1016/j.rse.2018.12.031), read from the script that its authors published [R+]. Heights are typical ones [D]."""
