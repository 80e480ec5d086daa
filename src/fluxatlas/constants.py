"""Constants that several stages share."""

FREEZING = 273.15
"""0 degC [K]."""
LATENT_HEAT = 2.45e6
"""Latent heat of vaporisation [J kg-1] at about 20 degC (FAO-56, Allen et al. 1998)."""
SCALE_HEIGHT = 8434.5
"""Height [m] over which pressure falls by a factor e in the standard atmosphere near the ground."""
STEFAN_BOLTZMANN = 5.670374e-8
"""W m-2 K-4."""
GRAVITY = 9.80665
"""Standard gravity [m s-2], by which ECMWF and CF divide a geopotential."""
NORMAL_90 = 1.6448536
"""Half the width of the central 90 % of a normal distribution in standard deviations."""
