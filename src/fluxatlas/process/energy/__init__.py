"""Surface energy and a two-layer bucket: the process model of soil moisture and the fluxes of energy.

``simulate`` runs it, ``retention.soil_limits`` gives wilting point, field capacity and saturation of a soil. Import
from the modules: what numba compiles is loaded with :mod:`.column` alone.
"""
