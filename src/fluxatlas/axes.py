"""What latitude, longitude and time are called in files that are read, and what is said of them in those written."""

LAT = ("latitude", "lat", "nav_lat", "y", "Latitude", "LAT", "Lat", "lats", "nlat")
LON = ("longitude", "lon", "nav_lon", "x", "Longitude", "LON", "Lon", "lons", "nlon", "long")
TIME = ("valid_time", "time", "day", "Time", "TIME", "date")
"""The time a forecast is valid at takes precedence over the time it was started."""
DEGREES = {
    "lat": ("degrees_north", "degree_north", "degrees_N", "degree_N", "degreesN", "degreeN", "degrees north"),
    "lon": ("degrees_east", "degree_east", "degrees_E", "degree_E", "degreesE", "degreeE", "degrees east"),
}
"""CF spellings of the units of latitude and longitude."""
WRITTEN = {
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
"""Attributes of the axes of a file that fluxatlas writes."""
