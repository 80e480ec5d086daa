"""The run that tests of ``fluxatlas explore`` look at: its year, its system and what its tiles hold."""

import netCDF4
import numpy as np
import xarray as xr

YEAR = 2001
SYSTEM = "soil_methane_sink"


def keep_members(path):
    """Days of three members of ``fch4`` in a file of a tile, one below the mean, one at it and one above."""
    with netCDF4.Dataset(path, "a") as data:
        data.set_auto_maskandscale(False)
        mean, sd = data["fch4"], data["fch4_sd"]
        dims = ("member", *mean.dimensions)
        kept = data.createVariable("fch4_member_day", "i2", dims, fill_value=mean._FillValue, compression="zlib")
        kept.set_auto_maskandscale(False)
        kept.setncatts({key: getattr(mean, key) for key in ("scale_factor", "add_offset")})
        step = np.rint((sd[:] * float(sd.scale_factor) + sd.add_offset) / mean.scale_factor).astype(int)
        for member, way in enumerate((-1, 0, 1)):
            kept[member] = np.where(mean[:] == mean._FillValue, mean._FillValue, mean[:] + way * step)


def of_tiles(run, name):
    """A variable of the files of all tiles, put together by its coordinates, north first."""
    opened = [xr.open_dataset(path) for path in sorted((run / "infer").glob(f"*/{YEAR}.nc"))]
    return xr.combine_by_coords([one[[name]] for one in opened], combine_attrs="drop_conflicts")[name].sortby(
        "lat", ascending=False
    )
