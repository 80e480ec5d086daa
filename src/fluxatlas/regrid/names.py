"""Which variables of a NetCDF file make up a static layer, where the configuration does not name them."""

from __future__ import annotations

import xarray as xr

from ..config.static import Layer
from ..errors import InputError, nearest
from .netcdf_source import data_variables

NAMES: dict[str, tuple[str, ...]] = {
    "orog": ("elevation", "elev", "z", "topo", "altitude", "dem", "height", "surface_altitude", "hgt", "topography"),
    "sand": ("sand_content", "t_sand", "sndppt", "sand_0_5cm"),
    "clay": ("clay_content", "t_clay", "clyppt"),
    "soc": ("oc", "org_carbon", "t_oc", "orcdrc", "soil_organic_carbon"),
    "bdod": ("bulk_density", "bulkdensity", "bd", "t_bulk_density", "bulk_den", "t_ref_bulk_density"),
    "phh2o": ("ph", "ph_h2o", "ph_water", "t_ph_h2o", "phihox"),
    "ndep": ("ndep_total", "total_ndep", "n_deposition", "ndep_n"),
    "wetlandFrac": ("fw", "fwet", "wetland_fraction", "wetland", "inundation", "inundated_fraction", "finundated",
                    "inund_sat_wetland_frac", "wetland_frac", "frac"),
    "cropFrac": ("cropland", "crop", "crop_fraction", "cropland_fraction", "crops"),
    "sftlf": ("land_fraction", "landfrac", "lsm", "land", "fracland", "frac_land"),
}  # fmt: skip
"""What variables of a layer are called in files (lower case), beside the layer's own name."""
NITROGEN = ("nhx", "noy", "drynhx", "wetnhx", "drynoy", "wetnoy")
"""Parts of nitrogen deposition as ISIMIP and input4MIPs call them: as N [V]; they are summed."""


def variables_in(name: str, layer: Layer, dataset: xr.Dataset, path: str, *, alone: bool) -> list[str]:
    """The variables of ``dataset`` that are read for layer ``name``; several are to be summed.

    Named ones go first (``alone``: all of them must be in this file), then the layer's own name, names in use, the only
    variable. Raises :class:`InputError` where none or more than one could be meant.
    """
    if layer.variables:
        absent = [variable for variable in layer.variables if variable not in dataset]
        held = sorted(map(str, dataset.data_vars))
        if absent and (alone or len(absent) == len(layer.variables)):
            what = f"no variable '{absent[0]}'{nearest(absent[0], held)}"
            raise InputError(what, where=path, hint=f"choose from {held}")
        return [variable for variable in layer.variables if variable in dataset]
    held = data_variables(dataset)
    lower = {variable.lower(): variable for variable in held}
    parts = [lower[part] for part in NITROGEN if name == "ndep" and part in lower]
    if name.lower() in lower:
        if parts:
            hint = "name the 'variable': the total, or the parts that are to be summed"
            raise InputError(f"total and parts of nitrogen deposition: {held}", where=path, hint=hint)
        return [lower[name.lower()]]
    if parts:
        return parts
    known = [lower[word] for word in NAMES.get(name, ()) if word in lower]
    if len(known) == 1 or (not known and len(held) == 1):
        return known or held
    named = sorted(map(str, dataset.data_vars))
    if not held and name in dataset:
        return [name]  # what it lacks is told where it is opened
    if not held:
        what, hint = (
            f"no variable for '{name}' has axes lat and lon",
            "give a file on a regular latitude-longitude grid",
        )
        raise InputError(f"{what} (held: {named})", where=path, hint=hint)
    what = f"no variable '{name}'{nearest(name, held)}" if not known else f"'{name}' could be any of {known}"
    raise InputError(what, where=path, hint=f"name the 'variable': choose from {held}; several are summed")
