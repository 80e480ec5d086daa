"""Whatever the bytes of a text file are, a reader either returns sites or raises one FluxAtlasError."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites import chambers, cosore, fluxnet, metadata, stdfmt, voigt
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import methane_factor

PLACE = [{"site": "XX-Tst", "lat": 50.0, "lon": 10.0}]
CASES = settings(max_examples=300, deadline=None)

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


@settings(max_examples=150, deadline=None)
@given(damaged(HOURS))
def test_fluxnet_half_hourly(content: bytes) -> None:
    attempt(fluxnet, "fluxnet", "FLX_XX-Tst_FLUXNET2015_FULLSET_HH.csv", content)


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
