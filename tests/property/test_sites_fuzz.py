"""Whatever the bytes of a text file are, a reader either returns sites or raises one FluxAtlasError."""

import contextlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites import (
    ameriflux,
    ameriflux_l2,
    badm,
    chambers,
    cosore,
    fluxnet,
    ismn,
    metadata,
    srdb,
    stdfmt,
    voigt,
)
from fluxatlas.ingest.sites.quick import quick_table
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import methane_factor

PLACE = [{"site": "XX-Tst", "lat": 50.0, "lon": 10.0}]
EXAMPLES = int(os.environ.get("FLUXATLAS_FUZZ_CASES", "300"))
"""Cases per reader: a few hundred in the suite; set the variable for a long run."""
CASES = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

CHAMBER = (
    "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign,soil_moisture,soil_moisture_depth_cm,"
    "soil_moisture_unit\nA,5,5,1,ENF,2001-01-01T00:00Z,1,mg CH4 m-2 d-1,upward_positive,3,5,%\n"
    "A,5,5,1,ENF,2001-01-02T00:00Z,1,nmol m-2 s-1,uptake_positive,,,\n"
)
TOWER = (
    "TIMESTAMP,TA_F,TA_F_DAY,TA_F_NIGHT,TS_F_MDS_1,TS_F_MDS_1_QC,FCH4\n20010101,3,4,2,5,1,-1\n20010102,3,4,2,5,1,-1\n"
)
HOURS = "TIMESTAMP_START,TA_F,TS_F_MDS_1\n" + "".join(
    f"20010101{h:02d}{m},3,4\n" for h in range(24) for m in ("00", "30")
)
STDFMT = (" ".join(["2001", "01", "01"] + ["1"] * 30) + "\n") * 1
TAB = "/* x */\nSite\t(Lat: a)\t(Long: a)\t(Date_Flux: a)\t(Collar_ID: a)\t(CH4_flux: a)\t(Soil_T_flux: a)\t(VWC: a)\n"
TAB += "Scotty Creek\t61.3\t-121.3\t2018-09-12\tc\t-9\t3\t20\n"
LIST = "site,lat,lon,utc_offset\nXX-Tst,50,10,1\nYY-Oth,51,11,\n"
DESCRIPTION = "CSR_LATITUDE: 1\nCSR_LONGITUDE: 2\nCSR_TIMEZONE: Etc/GMT+5\n"
BASE = "# Site: XX-Tst\n# Version: 1-5\nTIMESTAMP_START,TIMESTAMP_END,FCH4,FC,TS_1_1_1,SWC_1,TA\n" + "".join(
    f"20010101{h:02d}{m},20010101{h:02d}{m},3,-9999,4,20,5\n" for h in range(6) for m in ("00", "30")
)
LEVEL2 = (
    "Sitename: T\nLocation: Latitude: 31.5  Longitude: -110.5  Elevation (masl): 1200\nYEAR, DOY, HRMIN, TA, FC, TS1, "
)
LEVEL2 += "TSdepth1\nYEAR, DOY, HRMIN, deg C, umol/m2/s, deg C, cm\n1,1,1,1,1,1,1\n"
LEVEL2 += "".join(f"2001,1,{h}{m},3,-9999,-6999,5\n" for h in range(1, 6) for m in ("00", "30"))
CEOP = "".join(f"2017/01/01 0{h}:00 2017/01/01 0{h}:00 N N P 40.0 -90.0 9.0 0.05 0.05 0.3 G M\n" for h in range(8))
HEADED = "N N P 40.0 -90.0 9.0 0.05 0.05 Probe\n" + "".join(f"2017/01/01 0{h}:00 0.3 D01,G M\n" for h in range(8))
STATIC = "quantity_name;unit;depth_from[m];depth_to[m];value;description;quantity_source_name;\n"
STATIC += "clay fraction;%;0.00;0.30;20;;HWSD;\norganic carbon;%;-99.9;-99.9;1.8;;insitu;\n"
RESPIRATION = "Record_number,Study_midyear,YearsOfData,Latitude,Longitude,Manipulation,Duplicate_record,Quality_flag,"
RESPIRATION += "Annual_coverage,Rs_annual,Rs_annual_err\n1,2001.5,1,50,10,None,,Q01,1,730,\n2,2001,2,50,10,,,,,365,9\n"
MONTHS = "TIMESTAMP,TS_F_MDS_1,TS_F_MDS_1_QC,NEE_VUT_REF,NEE_VUT_REF_QC\n200101,3,1,-1,1\n200102,4,1,-9999,0\n"


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a good file with a few pieces replaced, cut out or repeated; sometimes bytes of no file at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = text.encode()
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        stop = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from(
                    [
                        b"",
                        b",",
                        b"\n",
                        b'"',
                        b"-9999",
                        b"1e999",
                        b"nan",
                        b"inf",
                        b"\t",
                        b"\r",
                        b"#",
                        b"99999999999999999999",
                    ]
                ),
                st.just(data[start:stop] * 2),
            )
        )
        data = data[:start] + piece + data[stop:]
    return data


@st.composite
def workbook(draw: st.DrawFn) -> bytes:
    """A small BADM workbook with a damaged sheet, or with damaged bytes."""
    cells = "".join(f"<c t='inlineStr'><is><t>{name}</t></is></c>" for name in badm.COLUMNS)
    row = "".join(f"<c><v>{text}</v></c>" for text in ("XX-Tst", "1", "GRP_LOCATION", "LOCATION_LAT", "50.0"))
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f"<worksheet xmlns='{space}'><sheetData><row>{cells}</row><row>{row}</row></sheetData></worksheet>"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", draw(damaged(sheet)))
    data = bytearray(stream.getvalue())
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(len(data) - 5, len(data)))])


def attempt_periods(reader: object, source: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        entry = SiteEntry(source=source, path=[str(path)], sites=PLACE)
        try:
            table = reader.read_periods([str(path)], entry, QcRules(), Ledger())  # type: ignore[attr-defined]
        except FluxAtlasError as problem:
            assert str(path) in problem.where or problem.hint
        else:
            assert table["value"].notna().all() and (table["end"] > table["start"]).all()


def attempt(reader: object, source: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        entry = SiteEntry(source=source, path=[str(path)], sites=PLACE)
        try:
            records = reader.read([str(path)], entry, QcRules(), Ledger())  # type: ignore[attr-defined]
        except FluxAtlasError as problem:
            assert str(path) in problem.where or problem.hint
        else:
            assert all(record.observations["value"].notna().all() for record in records)


@CASES
@given(damaged(CHAMBER))
def test_chambers(content: bytes) -> None:
    attempt(chambers, "chambers", "chambers.csv", content)


@CASES
@given(damaged(TOWER))
def test_fluxnet_daily(content: bytes) -> None:
    attempt(fluxnet, "fluxnet", "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", content)


@CASES
@given(damaged(HOURS))
def test_fluxnet_half_hourly(content: bytes) -> None:
    attempt(fluxnet, "fluxnet", "FLX_XX-Tst_FLUXNET2015_FULLSET_HH.csv", content)


@CASES
@given(damaged(MONTHS))
def test_fluxnet_monthly(content: bytes) -> None:
    attempt_periods(fluxnet, "fluxnet", "FLX_XX-Tst_FLUXNET2015_FULLSET_MM_2001.csv", content)


@CASES
@given(damaged(RESPIRATION))
def test_srdb(content: bytes) -> None:
    attempt_periods(srdb, "srdb", "srdb-data.csv", content)


@CASES
@given(damaged(BASE))
def test_ameriflux_base(content: bytes) -> None:
    attempt(ameriflux, "ameriflux", "AMF_XX-Tst_BASE_HH_1-5.csv", content)


@CASES
@given(damaged(LEVEL2))
def test_ameriflux_level_2(content: bytes) -> None:
    attempt(ameriflux_l2, "ameriflux_l2", "AMF_XXTst_2001_L2_WG_V001.csv", content)


@CASES
@given(st.one_of(damaged(CEOP), damaged(HEADED)))
def test_ismn_series(content: bytes) -> None:
    attempt(ismn, "ismn", "N_N_P_sm_0.050000_0.050000_Probe_20170101_20171231.stm", content)


@CASES
@given(damaged(STATIC))
def test_ismn_static(content: bytes) -> None:
    attempt(ismn, "ismn", "N_N_P_static_variables.csv", content)


@CASES
@given(st.one_of(damaged(HOURS), damaged(BASE), damaged(TOWER)))
def test_the_compiled_pass(content: bytes) -> None:
    found = quick_table(content, ("TIMESTAMP", "TIMESTAMP_START"), lambda name: name.startswith("T"))
    assert found is None or found[0].index.is_monotonic_increasing


@CASES
@given(workbook())
def test_badm(content: bytes) -> None:
    with contextlib.suppress(FluxAtlasError):
        assert isinstance(badm.site_facts(content, "book.xlsx"), dict)


@CASES
@given(damaged(STDFMT))
def test_stdfmt(content: bytes) -> None:
    attempt(stdfmt, "stdfmt", "XX-Tst.stdfmt.daily.txt", content)


@CASES
@given(damaged(TAB))
def test_pangaea(content: bytes) -> None:
    attempt(voigt, "voigt", "campaigns.tab", content)


@CASES
@given(damaged(LIST), damaged(DESCRIPTION), damaged("CSR_PORT, CSR_TREATMENT\n1, None\n2, Trenched\n"))
def test_metadata_and_descriptions(sites: bytes, description: bytes, ports: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for read, content in (
            (metadata.read_metadata, sites),
            (metadata.read_attributes, sites),
            (cosore.read_description, description),
            (cosore.treated_ports, ports),
        ):
            path = Path(folder) / "file.txt"
            path.write_bytes(content)
            try:
                read(path)
            except FluxAtlasError as problem:
                assert str(path) in problem.where


@CASES
@given(st.text(max_size=30), st.sampled_from(["", "mg CH4 m-2 d-1", "nmol m-2 s-1"]))
def test_units(noise: str, unit: str) -> None:
    with contextlib.suppress(FluxAtlasError):
        assert methane_factor(unit + noise) > 0
