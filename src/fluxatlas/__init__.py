"""fluxatlas: from raw climate forcing to global, daily land-flux products."""

from importlib.metadata import version

__version__ = version("fluxatlas")
