"""Small valid files in every layout that the readers of sites know; tests damage them and see what happens."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdata
import xarray as xr

PLACE = [{"site": "XX-Tst", "lat": 50.0, "lon": 10.0, "utc_offset": 1}]
LOOSE = {"min_qc": 0.4, "min_values": 2}
"""Rules under which the few values of these files make days."""


@dataclass(frozen=True)
class Layout:
    """Files of one source in a folder, of which ``target`` is the one that tests damage.

    ``rows`` counts the lines above the first row of data, ``separator`` splits it into cells; ``time`` and ``value``
    are the places of the cells of time and of the main variable, ``code`` is how that one is missing. ``made`` is the
    canonical variable that comes out, ``ledger`` the name under which values are counted.
    """

    name: str
    source: str
    target: str
    files: dict[str, bytes]
    made: str
    entry: dict[str, Any] = field(default_factory=dict)
    separator: str = ","
    rows: int = 1
    time: int = 0
    value: int = 1
    column: str = ""
    code: str = "-9999"
    wild: str = "99999.5"
    periods: bool = False
    packed: bool = False

    @property
    def text(self) -> str:
        return self.files[self.target].decode()

    def with_text(self, text: str | bytes) -> Layout:
        data = text if isinstance(text, bytes) else text.encode()
        return replace(self, files=self.files | {self.target: data})

    def cells(self) -> list[list[str]]:
        """The rows of data as cells."""
        return [line.split(self.separator) for line in self.text.splitlines()[self.rows :]]

    def with_cells(self, change: Callable[[list[list[str]]], list[list[str]]]) -> Layout:
        head = self.text.splitlines()[: self.rows]
        return self.with_text("\n".join([*head, *(self.separator.join(row) for row in change(self.cells()))]) + "\n")

    def write(self, folder: Path) -> Path:
        """Write all files; the path of the target."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / self.target

    def settings(self, folder: Path) -> dict[str, Any]:
        """One entry of sites.entries."""
        return {"source": self.source, "path": str(folder), "sites": PLACE, **self.entry}


def rds(**columns: Any) -> bytes:
    stream = io.BytesIO()
    rdata.write_rds(stream, pd.DataFrame(columns), file_format="xdr", compression="gzip")
    return stream.getvalue()


def workbook(rows: list[tuple[str, ...]]) -> bytes:
    """The least ``.xlsx`` that holds a table as inline text."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    lines = "".join(
        "<row>" + "".join(f"<c t='inlineStr'><is><t>{cell}</t></is></c>" for cell in row) + "</row>" for row in rows
    )
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    link = "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'><Relationship Id='r1' "
    link += f"Type='{links}/{{}}' Target='{{}}'/></Relationships>"
    sheet = "<sheets><sheet name='BIF' sheetId='1' r:id='r1'/></sheets>"
    return zipped(
        {
            "_rels/.rels": link.format("officeDocument", "xl/workbook.xml"),
            "xl/workbook.xml": f"<workbook xmlns='{space}' xmlns:r='{links}'>{sheet}</workbook>",
            "xl/_rels/workbook.xml.rels": link.format("worksheet", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": f"<worksheet xmlns='{space}'><sheetData>{lines}</sheetData></worksheet>",
        }
    )


def zipped(members: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def netcdf(data: xr.Dataset, form: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.nc"
        data.to_netcdf(path, format=form, engine="netcdf4")
        return path.read_bytes()


def table(header: str, times: list[str], cells: str) -> bytes:
    return (header + "\n" + "".join(f"{time},{cells}\n" for time in times)).encode()


BIF = [
    ("SITE_ID", "GROUP_ID", "VARIABLE_GROUP", "VARIABLE", "DATAVALUE"),
    ("XX-Tst", "1", "GRP_LOCATION", "LOCATION_LAT", "50.5"),
    ("XX-Tst", "1", "GRP_LOCATION", "LOCATION_LONG", "10.5"),
    ("XX-Tst", "2", "GRP_IGBP", "IGBP", "ENF"),
    ("XX-Tst", "3", "GRP_UTC_OFFSET", "UTC_OFFSET", "1"),
]
SENSORS = [
    BIF[0],
    ("XX-Tst", "7", "GRP_VAR_INFO", "VAR_INFO_VARNAME", "TS_F_MDS_1"),
    ("XX-Tst", "7", "GRP_VAR_INFO", "VAR_INFO_HEIGHT", "-0.15"),
    ("XX-Tst", "8", "GRP_VAR_INFO", "VAR_INFO_VARNAME", "TA_F"),
    ("XX-Tst", "8", "GRP_VAR_INFO", "VAR_INFO_HEIGHT", "2.0"),
]


def bif(rows: list[tuple[str, ...]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def _stamps(days: int, freq: str, form: str) -> list[str]:
    return [f"{t:{form}}" for t in pd.date_range("2001-01-01", periods=days, freq=freq)]


def _fluxnet() -> list[Layout]:
    weather = "TA_F,TA_F_DAY,TA_F_NIGHT,SW_IN_F,LW_IN_F,VPD_F,PA_F,P_F,WS_F"
    values = "3,4,2,60,280,2,98,1.5,2"
    name = "FLX_XX-Tst_FLUXNET2015_FULLSET_{}_2001-2001_1-4.csv"
    days = table(f"TIMESTAMP,TS_F_MDS_1,TS_F_MDS_1_QC,{weather}", _stamps(12, "D", "%Y%m%d"), f"5,1,{values}")
    half = "TIMESTAMP_START,TIMESTAMP_END,TS_F_MDS_1,TS_F_MDS_1_QC,TA_F,SW_IN_F,LW_IN_F,VPD_F,PA_F,P_F,WS_F"
    start = pd.date_range("2001-01-01", periods=96, freq="30min")
    hours = "".join(f"{t:%Y%m%d%H%M},{t + pd.Timedelta('30min'):%Y%m%d%H%M},5,0,3,60,280,2,98,0.1,2\n" for t in start)
    era = table(
        "TIMESTAMP,TA_ERA,TA_ERA_NIGHT,TA_ERA_DAY,SW_IN_ERA,LW_IN_ERA,VPD_ERA,PA_ERA,P_ERA,WS_ERA",
        _stamps(40, "D", "%Y%m%d"),
        "3,2,4,60,280,2,98,1.5,2",
    )
    weeks = [("20010101", "20010107"), ("20010108", "20010114"), ("20010115", "20010121")]
    week = "TIMESTAMP_START,TIMESTAMP_END,TS_F_MDS_1,TS_F_MDS_1_QC,NEE_VUT_REF,NEE_VUT_REF_QC\n"
    week += "".join(f"{a},{b},5,1,-1,1\n" for a, b in weeks)
    longer = "TIMESTAMP,TS_F_MDS_1,TS_F_MDS_1_QC,NEE_VUT_REF,NEE_VUT_REF_QC"
    made = [
        ("fluxnet-DD", name.format("DD"), days, "tsl05", {"column": "TS_F_MDS_1"}),
        (
            "fluxnet-HH",
            name.format("HH"),
            f"{half}\n{hours}".encode(),
            "tsl05",
            {"column": "TS_F_MDS_1", "value": 2},
        ),
        ("fluxnet-ERA", name.format("DD").replace("FULLSET", "ERAI"), era, "forcing", {"column": "TA_ERA"}),
        ("fluxnet-WW", name.format("WW"), week.encode(), "tsl05", {"value": 2, "periods": True}),
        (
            "fluxnet-MM",
            name.format("MM"),
            table(longer, _stamps(6, "MS", "%Y%m"), "5,1,-1,1"),
            "tsl05",
            {"periods": True},
        ),
        ("fluxnet-YY", name.format("YY"), table(longer, ["2001", "2002"], "5,1,-100,1"), "tsl05", {"periods": True}),
    ]
    methane = "FLX_XX-Tst_FLUXNET-CH4_{}_2001-2001_1-1.csv"
    ch4 = table("TIMESTAMP,FCH4,FCH4_F,TA_F,TS_1,SWC_1", _stamps(12, "D", "%Y%m%d"), "6.5,7,3,5,30")
    ch4h = "TIMESTAMP_START,TIMESTAMP_END,FCH4,FCH4_F,FCH4_F_ANNOPTLM_UNC,TA_F,TS_1\n"
    ch4h += "".join(f"{t:%Y%m%d%H%M},{t + pd.Timedelta('30min'):%Y%m%d%H%M},6.5,7,0.1,3,5\n" for t in start)
    made += [
        ("fluxnet-ch4-DD", methane.format("DD"), ch4, "fch4", {"column": "FCH4"}),
        ("fluxnet-ch4-HH", methane.format("HH"), ch4h.encode(), "fch4", {"column": "FCH4", "value": 2}),
    ]
    return [
        Layout(label, "fluxnet", target, {target: data}, made=out, **({"column": "TS_F_MDS_1"} | more))
        for label, target, data, out, more in made
    ]


def _archives() -> list[Layout]:
    """BIF files beside the data of a FLUXNET archive, and the archive packed."""
    stem = "AMF_XX-Tst_FLUXNET_{}_2001-2001_v1.3_r1.csv"
    days = _fluxnet()[0].files["FLX_XX-Tst_FLUXNET2015_FULLSET_DD_2001-2001_1-4.csv"]
    files = {
        stem.format("FLUXMET_DD"): days,
        stem.format("BIF"): bif(BIF),
        stem.format("BIFVARINFO_DD"): bif(SENSORS),
    }
    more: dict[str, Any] = {"entry": {"sites": []}, "column": "TS_F_MDS_1", "time": 3, "value": 4}
    pack = "AMF_XX-Tst_FLUXNET_2001-2001_v1.3_r1.zip"
    return [
        Layout("bif-facts", "fluxnet", stem.format("BIF"), files, made="tsl15", **more),
        Layout("bif-depths", "fluxnet", stem.format("BIFVARINFO_DD"), files, made="tsl15", **more),
        Layout(
            "fluxnet-zip",
            "fluxnet",
            pack,
            {pack: zipped(dict(files))},
            made="tsl15",
            entry={"sites": []},
            packed=True,
        ),
    ]


def _ameriflux() -> list[Layout]:
    start = pd.date_range("2001-01-01", periods=96, freq="30min")
    base = "# Site: XX-Tst\n# Version: 1-5\nTIMESTAMP_START,TIMESTAMP_END,FCH4,FC,TS_1_1_1,SWC_PI_1,TA_1_1_A,TA_PI_F\n"
    base += "".join(f"{t:%Y%m%d%H%M},{t + pd.Timedelta('30min'):%Y%m%d%H%M},3,-9999,4,20,5,5\n" for t in start)
    target, pack = "AMF_XX-Tst_BASE_HH_1-5.csv", "AMF_XX-Tst_BASE-BADM_1-5.zip"
    level2 = "Sitename: T\nLocation: Latitude: 50.0  Longitude: 10.0  Elevation (masl): 1200\n"
    level2 += "YEAR, DOY, HRMIN, TA, FC, TS1, TSdepth1\nYEAR, DOY, HRMIN, deg C, umol/m2/s, deg C, cm\n1,1,1,1,1,1,1\n"
    level2 += "".join(
        f"2001,{day},{h:02d}{m},3,-1.5,8,5\n"
        for day in (1, 2)
        for h in range(24)
        for m in ("00", "30")
        if (day, h, m) != (1, 0, "00")
    )
    level2 += "2001,3,0,3,-1.5,8,5\n"
    packed = zipped({target: base, "AMF_XX-Tst_BIF_20210101.xlsx": workbook(BIF)})
    return [
        Layout("ameriflux", "ameriflux", target, {target: base.encode()}, "fch4", rows=3, value=2, column="FCH4"),
        Layout("ameriflux-zip", "ameriflux", pack, {pack: packed}, "fch4", entry={"sites": []}, packed=True),
        Layout(
            "ameriflux-l2",
            "ameriflux_l2",
            "AMF_XXTst_2001_L2_WG_V001.csv",
            {"AMF_XXTst_2001_L2_WG_V001.csv": level2.encode()},
            "nee",
            rows=5,
            time=1,
            value=4,
            column="FC",
        ),
    ]


def _ismn() -> list[Layout]:
    stem = "NET_NET_Plain_{}"
    series = stem.format("sm_0.050000_0.050000_Probe_20170101_20171231.stm")
    times = pd.date_range("2017-01-01", periods=72, freq="h")
    place = "NET NET Plain 40.0 -90.0 9.0 0.05 0.05"
    ceop = "".join(f"{t:%Y/%m/%d %H:%M} {t:%Y/%m/%d %H:%M} {place} 0.3 G M\n" for t in times)
    head = f"{place} Probe\n" + "".join(f"{t:%Y/%m/%d %H:%M} 0.3 G M\n" for t in times)
    static = "quantity_name;unit;depth_from[m];depth_to[m];value;description;quantity_source_name;\n"
    static += "clay fraction;% weight;0.00;0.30;20;;HWSD;\norganic carbon;% weight;-99.9;-99.9;1.8;0.1° grid;insitu;\n"
    listed = stem.format("static_variables.csv")
    pack = "Data_separate_files_header_20170101_20171231_1_abc_20180101.zip"
    packed = zipped({f"NET/Plain/{series}": head, f"NET/Plain/{listed}": static, "Readme.txt": "x"})
    more: dict[str, Any] = {"made": "swc05", "separator": " ", "code": "NaN", "wild": "7.5", "entry": {"sites": []}}
    return [
        Layout("ismn-ceop", "ismn", series, {series: ceop.encode()}, rows=0, value=12, **more),
        Layout("ismn-header", "ismn", series, {series: head.encode()}, rows=1, value=2, **more),
        Layout(
            "ismn-static",
            "ismn",
            listed,
            {series: head.encode(), listed: static.encode()},
            "swc05",
            entry={"sites": []},
            separator=";",
        ),
        Layout("ismn-zip", "ismn", pack, {pack: packed}, "swc05", entry={"sites": []}, packed=True),
    ]


def _chambers() -> list[Layout]:
    head = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign,soil_temperature,"
    head += "soil_temperature_depth_cm,soil_temperature_unit"
    rows = "".join(
        f"A,50,10,1,ENF,{day}T1{hour}:00Z,-1.5,mg CH4 m-2 d-1,upward_positive,8,5,degC\n"
        for day in _stamps(6, "D", "%Y-%m-%d")
        for hour in range(3)
    )
    described = (
        "# x\nCSR_SITE_NAME: T\nCSR_LATITUDE: 50\nCSR_LONGITUDE: 10\nCSR_ELEVATION: 5\nCSR_TIMEZONE: Etc/GMT-1\n"
    )
    described += "CSR_IGBP: Grassland\n"
    ports = "# y\nCSR_PORT, CSR_MSMT_VAR, CSR_TREATMENT\n1, Rs, None\n2, Rh, Trenched\n"
    seconds = 978307200.0 + 3600.0 * np.arange(72)
    measured = rds(
        CSR_PORT=np.tile([1.0, 2.0], 36),
        CSR_TIMESTAMP_BEGIN=seconds,
        CSR_FLUX_CH4=np.full(72, -1.5),
        CSR_T5=np.full(72, 8.0),
    )
    cosore = {"d1/DESCRIPTION.txt": described.encode(), "d1/PORTS.txt": ports.encode(), "d1/data/data.RDS": measured}
    return [
        Layout(
            "chambers",
            "chambers",
            "chambers.csv",
            {"chambers.csv": f"{head}\n{rows}".encode()},
            "fch4",
            entry={"sites": []},
            time=5,
            value=6,
            column="flux",
            code="",
        ),
        Layout("cosore-description", "cosore", "d1/DESCRIPTION.txt", cosore, "fch4", {"sites": []}, ":"),
        Layout("cosore-ports", "cosore", "d1/PORTS.txt", cosore, "fch4", {"sites": []}, rows=2),
        Layout("cosore-data", "cosore", "d1/data/data.RDS", cosore, "fch4", {"sites": []}, packed=True),
    ]


def _others() -> list[Layout]:
    tab = "/* x */\nSite\t(Lat: a)\t(Long: a)\t(Date_Flux: a)\t(Collar_ID: a)\t(CH4_flux: a)\t(Soil_T_flux: a)\t"
    tab += "(VWC: a)\n"
    tab += "".join(f"Scotty Creek\t61.3\t-121.3\t2018-09-{day:02d}\tc{day}\t-9\t3\t20\n" for day in range(10, 18))
    days = pd.date_range("2001-01-01", periods=8)
    middle = "1.5 5 1 3 100 280 60 98 2 1.0 5 15 -9999 -9999 -9999 0.2 0.2 -9999 -9999 -9999 4 5 -9999 -9999 -9999"
    plain = "".join(f"{t:%Y %m %d} {middle} 0 0 1 2 3\n" for t in days)
    respiration = (
        "Record_number,Study_midyear,YearsOfData,Latitude,Longitude,Manipulation,Duplicate_record,Quality_flag,"
    )
    respiration += "Annual_coverage,Rs_annual,Rs_annual_err,Site_name\n"
    respiration += "1,2001.5,1,50,10,None,,Q01,1,730,,Köln\n2,2001,2,50,10,,,,,365,9,b\n"
    listed = "site,lat,lon,elevation,igbp,utc_offset\nXX-Tst,50,10,5,ENF,1\nYY-Oth,51,11,6,GRA,\n"
    facts = "# soils\nsite,sand,clay,lai,igbp\nXX-Tst,40,20,3,ENF\nYY-Oth,41,11,1.5,GRA\n"
    name, daily = next(iter(_fluxnet()[0].files.items()))
    return [
        Layout(
            "voigt-tab",
            "voigt",
            "campaigns.tab",
            {"campaigns.tab": tab.encode()},
            "fch4",
            entry={"sites": []},
            separator="\t",
            rows=2,
            time=3,
            value=5,
            column="CH4_flux",
            code="",
        ),
        Layout(
            "stdfmt",
            "stdfmt",
            "XX-Tst.stdfmt.daily.txt",
            {"XX-Tst.stdfmt.daily.txt": plain.encode()},
            "tsl05",
            separator=" ",
            rows=0,
            value=23,
        ),
        Layout(
            "srdb",
            "srdb",
            "srdb-data.csv",
            {"srdb-data.csv": respiration.encode()},
            "rs",
            entry={"sites": []},
            time=1,
            value=9,
            column="Rs_annual",
            code="",
            wild="99999999",
            periods=True,
        ),
        Layout(
            "metadata",
            "fluxnet",
            "list.csv",
            {"data/" + name: daily, "list.csv": listed.encode()},
            "tsl05",
            entry={"sites": [], "metadata": "list.csv"},
        ),
        Layout(
            "attributes",
            "fluxnet",
            "soils.csv",
            {"data/" + name: daily, "soils.csv": facts.encode()},
            "tsl05",
            entry={"attributes": "soils.csv"},
            rows=2,
        ),
    ]


def _rsofun() -> list[Layout]:
    days = [f"2001-01-{day:02d}" for day in range(1, 9)]
    drivers = "date,temp,vpd,ppfd,patm,snow,rain,tmin,tmax,vwind,fapar\n"
    drivers += "".join(f"{day},2,300,0.0001,98000,0,0.00002,0,5,3,0.5\n" for day in days)
    fluxes = "date,nee,nee_qc,gpp,gpp_qc,le\n" + "".join(f"{day},-1.5,1,4,1,50\n" for day in days)
    files = {"XX-Tst_drivers.csv": drivers.encode(), "XX-Tst_fluxes.csv": fluxes.encode()}
    return [Layout("rsofun", "rsofun", "XX-Tst_fluxes.csv", files, "gpp", value=3, column="gpp", code="NA")]


def _metaflux() -> list[Layout]:
    weather = "TA_F,TA_ERA,TA_ERA_DAY,SW_IN_F,LW_IN_F,VPD_F,PA_F,P_F,WS_F,LAI"
    names = f"TIMESTAMP,Site,Lat,Lon,PFT,NEE_VUT_REF,NEE_VUT_REF_QC,GPP_NT_VUT_REF,RECO,{weather}"
    months = table(names, _stamps(12, "MS", "%Y%m"), "XX-Tst,50.5,10.5,ENF,-1.5,1,4,2.5,3,3,5,60,280,2,98,1.5,2,1.2")
    files = {"XX-Tst_MM.csv": months}
    return [
        Layout(
            "metaflux",
            "metaflux",
            "XX-Tst_MM.csv",
            files,
            "nee",
            value=5,
            column="NEE_VUT_REF",
            code="",
            periods=True,
        )
    ]


def _cardamom() -> list[Layout]:
    months = table("ID,Date,GPP,NEE,ET", [f"7,{month}" for month in _stamps(12, "MS", "%Y%m")], "4,-1.5,1.2")
    files = {"validation_XX-Tst.csv": months}
    told = {"time": 1, "value": 3, "column": "NEE", "code": "NA", "periods": True}
    return [Layout("cardamom", "cardamom", "validation_XX-Tst.csv", files, "nee", **told)]


def treat(**columns: Any) -> bytes:
    """Records of one bog in three years, changed by ``columns``."""
    bog = {"Site_Name": "Bog", "Measurement_Location": "1", "Latitude": 50.0, "Longitude": 10.0, "Wetland_Class": "Bog"}
    told = {"Annual_Flux_Type": "Measured", "Method": "Chambers", "SD_1": "1,9 (SE)", "Remove_QC": False}
    told["Growing_Season_Length_days"] = 120.0
    made: dict[str, Any] = {"Sort": [4.0, 5.0, 6.0], "Year": ["1991", "1992", "1993"], **bog, **told}
    frame = pd.DataFrame(made | {"Annual_CH4_Flux_g_m2_y": [3.6525, 7.305, 14.61]} | columns)
    return rds(**{str(name): text_of(frame[name]) for name in frame})


def text_of(column: pd.Series) -> pd.Series:
    """A column as ``rdata`` writes it: of pandas' types of text only plain objects."""
    return column if column.dtype.kind in "fib" else column.astype(object)


def _treat() -> list[Layout]:
    name = "Annual_CH4_estimates.rds"
    told: dict[str, Any] = {"entry": {"sites": []}, "column": "Annual_CH4_Flux_g_m2_y", "periods": True, "packed": True}
    return [Layout("treat", "treat", name, {name: treat()}, "fch4", **told)]


def _uscrn() -> list[Layout]:
    names = "WBANNO,LST_DATE,CRX_VN,LONGITUDE,LATITUDE,T_DAILY_MAX,T_DAILY_MIN,T_DAILY_MEAN,T_DAILY_AVG,P_DAILY_CALC"
    names += ",SOLARAD_DAILY,RH_DAILY_AVG,SOIL_MOISTURE_5_DAILY,SOIL_TEMP_5_DAILY"
    days = table(names, [f"53974,{day}" for day in _stamps(12, "D", "%Y%m%d")], "2.4,10.5,50.5,9,1,5,5,2,12,70,0.3,4")
    told = {"entry": {"sites": []}, "time": 1, "value": 12, "column": "SOIL_MOISTURE_5_DAILY", "code": "-99"}
    return [Layout("uscrn", "uscrn", "KS_Test_6_SSW.csv", {"KS_Test_6_SSW.csv": days}, "swc05", **told)]


def _literature_means() -> list[Layout]:
    head = "site,year,mean_mg_m2_d,lat,lon,min_mg_m2_d,max_mg_m2_d,period,use\n"
    rows = "".join(f"{name},{2001 + n},-1.5,5{n},10,-2,-1,annual,yes\n" for n, name in enumerate("ABC"))
    told: dict[str, Any] = {"entry": {"sites": []}, "time": 1, "value": 2, "column": "mean_mg_m2_d", "code": "NA"}
    files = {"ch4_places.csv": (head + rows).encode()}
    return [Layout("soil-ch4-means", "literature_means", "ch4_places.csv", files, "fch4", periods=True, **told)]


def _plumber2() -> list[Layout]:
    time = np.arange(96) * 1800.0
    data = xr.Dataset(
        {
            "NEE": (("time", "y", "x"), np.full((96, 1, 1), -1.5), {"units": "umol/m2/s"}),
            "NEE_qc": (("time", "y", "x"), np.zeros((96, 1, 1))),
            "latitude": (("y", "x"), [[50.0]]),
            "longitude": (("y", "x"), [[10.0]]),
        },
        {"time": ("time", time, {"units": "seconds since 2001-01-01 00:00:00", "calendar": "standard"})},
        {"site_code": "XX-Tst"},
    )
    name = "XX-Tst_2001-2001_FLUXNET2015_Flux.nc"
    made = [("plumber2", "NETCDF4"), ("plumber2-classic", "NETCDF3_CLASSIC")]
    return [
        Layout(label, "plumber2", name, {name: netcdf(data, form)}, "nee", {"sites": []}, packed=True)
        for label, form in made
    ]


def _xmethanewet() -> list[Layout]:
    rows = "".join(f"{i},{day},XX.Tst,6.5,7,-1,3,2,1.5\n" for i, day in enumerate(_stamps(12, "D", "%Y%m%d")))
    text = ",TIMESTAMP,Site,FCH4_F,FCH4_F_ANNOPTLM,NEE_F,TA_F,VPD_F,P_F\n" + rows
    name = "FLUXNET_T1_DD.csv"
    return [Layout("xmethanewet", "xmethanewet", name, {name: text.encode()}, "fch4", time=1, value=3, column="FCH4_F")]


def layouts() -> dict[str, Layout]:
    """All layouts by name."""
    made = [
        *_fluxnet(),
        *_archives(),
        *_ameriflux(),
        *_ismn(),
        *_chambers(),
        *_others(),
        *_plumber2(),
        *_rsofun(),
        *_xmethanewet(),
        *_metaflux(),
        *_cardamom(),
        *_treat(),
        *_uscrn(),
        *_literature_means(),
    ]
    return {layout.name: layout for layout in made}
