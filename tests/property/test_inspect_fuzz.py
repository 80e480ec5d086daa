"""Whatever the bytes of a file are, ``fluxatlas inspect`` gives a report: no exception, none that it had to catch."""

import gzip
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import rdata
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from damage import cases
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.inspect.report import STATUSES
from fluxatlas.inspect.screen import render
from site_layouts import BIF, workbook

CASES = cases(15)

DAYS = [f"{d:%Y%m%d}" for d in pd.date_range("2001-01-01", periods=20)]
TEXTS: dict[str, str] = {
    "FLX_XX-Abc_FLUXNET2015_FULLSET_DD_2001-2001_1-4.csv": "TIMESTAMP,TA_F,TA_F_QC,TA_F_DAY,TA_F_NIGHT,P_F,TS_F_MDS_1\n"
    + "".join(f"{d},3.5,1,4,2,0.1,5.5\n" for d in DAYS),
    "FLX_XX-Abc_FLUXNET-CH4_DD_2001-2001_1-1.csv": "TIMESTAMP,FCH4,FCH4_F,TA,WTD\n"
    + "".join(f"{d},-9999,1.5,4,-0.1\n" for d in DAYS),
    "FLX_XX-Abc_FLUXNET2015_FULLSET_HH_2001-2001_1-4.csv": "TIMESTAMP_START,TIMESTAMP_END,TA_F,SW_IN_F\n"
    + "".join(f"200101{d:02d}{h:02d}00,200101{d:02d}{h:02d}30,3,20\n" for d in (1, 2) for h in range(24)),
    "AMF_XX-Abc_BASE_HH_1-5.csv": "# Site: XX-Abc\n# Version: 1-5\nTIMESTAMP_START,TIMESTAMP_END,FC,TA\n"
    + "".join(f"20010101{h:02d}00,20010101{h:02d}30,-9999,3\n" for h in range(24)),
    "AMF_XXAbc_2001_L2_WG_V001.csv": "Sitename: X\nLocation: Latitude: 31.7  Longitude: -110.0  Elevation (masl): 1\n"
    "YEAR, GAP, DTIME, DOY, HRMIN, TA, Rg\nYEAR, GAP, DTIME, DOY, HRMIN, deg C, W/m2\n2001,0,1.0,1,0030,3,-6999\n"
    "2001,0,1.0,1,0100,3,-6999\n2001,0,1.0,1,0130,4,-6999\n",
    "NET_NET_Stat_sm_0.050000_0.050000_Probe_20010101_20011231.stm": "".join(
        f"2001/01/01 {h:02d}:00 2001/01/01 {h:02d}:00 NET NET Stat 20.0 -155.3 353.6 0.05 0.05 0.4{h:02d} G M\n"
        for h in range(20)
    ),
    "WKG.stdfmt.daily.txt": "".join(" ".join(["2001", "01", f"{d:02d}"] + ["1.5"] * 30) + "\n" for d in range(1, 20)),
    "chambers.csv": "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n"
    + "".join(f"A,48,11,1,ENF,2001-01-{d:02d}T00:00Z,{d},nmol m-2 s-1,upward_positive\n" for d in range(1, 20)),
    "voigt.tab": "/* DATA DESCRIPTION: x */\nSite\t(Lat: a)\t(Long: a)\t(Date_Flux: a)\t(Collar_ID: a)\t(CH4_flux: a)\t"
    "(Soil_T_flux: a)\t(VWC: a)\nScotty Creek\t61.3\t-121.3\t2018-09-12\tc\t-9\t3\t20\n",
    "ch4_mm_gl.csv": "# NOAA GML\nyear,month,decimal,average,average_unc,trend,trend_unc\n"
    + "".join(f"1999,{m},1999.5,1770.{m},1.1,1769,-9.99\n" for m in range(1, 13)),
    "nass.corn.txt": "year\tstate\tacres\tyield\n" + "".join(f'19{y}\t"Ohio"\t1000\t3{y}\n' for y in range(10, 30)),
    "MODIS_LAI_8day_QC.csv": "Date," + ",".join(f"S{i}" for i in range(24)) + "\n"
    + "".join(f"1/{d}/2001," + ",".join(["1.5"] * 23 + ["NA"]) + "\n" for d in (1, 9, 17, 25)),
    "srdb-data.csv": "Record_number,Latitude,Longitude,Rs_annual,Soil_sand\n"
    + "".join(f"{i},4{i % 10},-7{i % 7},{500 + i},40\n" for i in range(20)),
    "sites.csv": "site,lat,lon,utc_offset\nXX-Abc,50,10,1\nYY-Def,51,11,\n",
    "attributes.csv": "site,sand,clay,soc\nXX-Abc,40,20,10\nYY-Def,30,20,\n",
    "other.csv": "date,a,b\n2001-01-01,1,x\n2001-01-02,2,y\n2001-01-03,3,z\n",
    "DESCRIPTION.txt": "CSR_SITE_NAME: A\nCSR_LATITUDE: 1\nCSR_LONGITUDE: 2\nCSR_TIMEZONE: Etc/GMT+5\n",
    "PORTS.txt": "CSR_PORT, CSR_MSMT_VAR, CSR_TREATMENT\n1, Rs, None\n2, Rh, Trenched\n",
    "land.geojson": json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"a": 1},
                    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
                }
            ],
        }
    ),
    "README.md": "# Title\n\nSome words about something that is explained here.\n",
    "static_variables.csv": "quantity_name;unit;depth_from[m];depth_to[m];value\nclay fraction;% weight;0;0.3;22\n",
}  # fmt: skip
PIECES = [b"", b",", b"\n", b'"', b"-9999", b"1e999", b"nan", b"inf", b"\t", b"\r", b"\x00", b"\xff", b"99999999999999"]


def netcdf() -> bytes:
    attrs = {"units": "hours since 2001-01-01", "calendar": "standard"}
    values = 280 + np.random.default_rng(0).random((48, 3, 4))
    dataset = xr.Dataset(
        {"tas": (("time", "lat", "lon"), values, {"units": "K"}), "t2m": (("time", "lat", "lon"), values)},
        {"time": ("time", np.arange(48), attrs), "lat": [50.0, 49.5, 49.0], "lon": [5.0, 5.5, 6.0, 6.5]},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.nc"
        dataset.to_netcdf(path, format="NETCDF3_CLASSIC")
        return path.read_bytes()


def rds() -> bytes:
    table = pd.DataFrame({"CSR_PORT": [1.0, 2.0], "CSR_TIMESTAMP_BEGIN": [1e9, 2e9], "CSR_SM5": [0.2, np.nan]})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "x.rds"
        rdata.write_rds(path, table)
        return gzip.decompress(path.read_bytes())  # a damaged gzip would only test gzip


def tiff() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.tif"
        place = {"crs": "EPSG:4326", "transform": from_origin(5, 50, 0.1, 0.1)}
        with rasterio.open(path, "w", driver="GTiff", width=8, height=6, count=1, dtype="uint8", **place) as target:
            target.write(np.arange(48, dtype=np.uint8).reshape(1, 6, 8))
        return path.read_bytes()


def packed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("AMF_XX-Abc_BASE_HH_1-5.csv", TEXTS["AMF_XX-Abc_BASE_HH_1-5.csv"])
        target.writestr("sites.csv", TEXTS["sites.csv"])
    return stream.getvalue()


BINARIES: dict[str, Callable[[], bytes]] = {
    "grid.nc": netcdf,
    "data.rds": rds,
    "layer.tif": tiff,
    "archive.zip": packed,
    "book.xlsx": lambda: workbook(BIF),
}


@cache
def sample(name: str) -> bytes:
    return BINARIES[name]() if name in BINARIES else TEXTS[name].encode()


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """A file cut off, or with a few pieces replaced, cut out or put in."""
    if draw(st.integers(0, 4)) == 0:
        return data[: draw(st.integers(0, len(data)))]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        stop = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.binary(max_size=6), st.sampled_from(PIECES)))
        data = data[:start] + piece + data[stop:]
    return data


def inspected(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        report = inspect_path(path)
        assert "internal" not in report.codes(), [f.message for f in report.findings]
        assert report.status in STATUSES
        assert report.verdict
        json.dumps(report.as_dict(), allow_nan=False)
        render(report, width=100)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*TEXTS, *BINARIES])
@given(data=st.data())
@CASES
def test_damaged_files_give_a_report(name: str, data: st.DataObject) -> None:
    inspected(name, data.draw(damage(sample(name))))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*TEXTS, *BINARIES])
def test_undamaged_samples_are_recognised(name: str) -> None:
    """The samples that are damaged above are what they seem to be; otherwise little would be tested."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(sample(name))
        report = inspect_path(path)
        assert report.status != "unrecognised"
        assert report.format not in ("", "table") or name == "other.csv"


@pytest.mark.filterwarnings("ignore")
@given(st.binary(max_size=400), st.sampled_from(["x.nc", "x.csv", "x.rds", "x.tif", "x.zip", "x", "x.txt", "x.shp"]))
@cases(100)
def test_any_bytes_give_a_report(data: bytes, name: str) -> None:
    inspected(name, data)
