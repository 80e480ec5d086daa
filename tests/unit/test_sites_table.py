"""The site table as a whole: files of the contract, names, positions, duplicates, inputs, lists of sites, commands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas import files
from fluxatlas.config.sites import SitesBlock
from fluxatlas.errors import ConfigError, FluxAtlasError, InputError
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.inputs import site_inputs
from fluxatlas.ingest.sites.metadata import read_metadata
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.text import numbers, read_table
from fluxatlas.paths import RESOURCES

HEADER = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign,soil_temperature,soil_temperature_depth_cm,"
HEADER += "soil_temperature_unit,soil_moisture,soil_moisture_depth_cm,soil_moisture_unit\n"


def chamber_file(path: Path, site: str = "A", lat: float = 50.0, lon: float = 10.0, days: int = 20) -> Path:
    rows = [
        f"{site},{lat},{lon},100,ENF,{day:%Y-%m-%d}T11:00Z,-1.2,mg CH4 m-2 d-1,upward_positive,"
        f"{10 + i % 3},5,degC,0.2,5,1\n"
        for i, day in enumerate(pd.date_range("2001-06-01", periods=days))
        if i not in (5, 6)
    ]
    path.write_text(HEADER + "".join(rows))
    return path


def block(*paths: Path, **more: object) -> SitesBlock:
    return SitesBlock(entries=[{"source": "chambers", "path": str(path)} for path in paths], **more)


def test_files_of_the_contract(tmp_path: Path) -> None:
    source = chamber_file(tmp_path / "chambers.csv")
    report = table.build(block(source), tmp_path / "out", [str(source)])
    sites = pd.read_csv(tmp_path / "out/sites.csv")
    assert list(sites.columns[:8]) == ["site", "lat", "lon", "elevation", "kind", "igbp", "utc_offset", "source"]
    assert {"sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep", "lai"} <= set(sites.columns)
    observed = pd.read_parquet(tmp_path / "out/observations.parquet")
    assert list(observed.columns) == ["site", "time", "variable", "value", "sd", "qc", "n", "origin"]
    assert observed["time"].dtype == "datetime64[ns]"
    measured = observed.query("origin == 'measured' and variable == 'fch4'")
    assert len(measured) == 18
    assert not observed.query("origin == 'completed'")["variable"].eq("fch4").any()
    forcing = pd.read_parquet(tmp_path / "out/forcing.parquet")
    assert list(forcing.columns[:3]) == ["site", "time", "tas"]
    assert len(forcing) == 0
    on_disk = json.loads((tmp_path / "out/report.json").read_text())
    assert on_disk["sites"]["A"]["variables"]["fch4"]["days"]["text"] == "kept 18 of 18 days"
    assert on_disk["totals"] == report["totals"]
    assert str(source) in on_disk["provenance"]["fluxatlas_inputs"]
    import pyarrow.parquet as pq

    assert b"fluxatlas_settings_hash" in pq.read_schema(tmp_path / "out/observations.parquet").metadata


@pytest.mark.parametrize("name", ["NA", "null", "007", "plot #3", "NaN"])
def test_names_that_look_like_something_else_are_names(tmp_path: Path, name: str) -> None:
    source = chamber_file(tmp_path / "chambers.csv", site=name)
    table.build(block(source), tmp_path / "out", [str(source)])
    assert list(files.read_table(tmp_path / "out/sites.csv")["site"]) == [name]
    assert set(files.read_parquet(tmp_path / "out/observations.parquet")["site"]) == {name}
    # lines above the header are left out, and an empty field is missing
    (tmp_path / "places.csv").write_text(f"# made by hand\nsite,lat,elevation\n{name},1.5,\n")
    row = files.read_table(tmp_path / "places.csv").iloc[0]
    assert row["site"] == name and row["lat"] == 1.5 and np.isnan(row["elevation"])
    (tmp_path / "list.csv").write_text(f"SITE_ID,LOCATION_LAT,LOCATION_LONG\n{name},1.5,2\n")
    assert read_metadata(tmp_path / "list.csv") == {name: {"site": name, "lat": 1.5, "lon": 2}}


def test_cells_without_a_value_are_missing_whatever_wrote_them() -> None:
    spelled = [
        "NA",
        "N/A",
        "#N/A",
        "<NA>",
        "nan",
        "-NaN",
        "1.#QNAN",
        "-1.#IND",
        "null",
        "NULL",
        "(null)",
        "None",
        "none",
    ]
    spelled += ["n.a.", "missing", ".", "-", "--", " NaN ", "", None]
    values = numbers(pd.DataFrame({"flux": ["1.5", *spelled, "-2"]}), "flux", "file")
    np.testing.assert_array_equal(values, [1.5, *[np.nan] * len(spelled), -2])
    for wrong in ("#DIV/0!", "1,5", "n", "1e", "- 2"):
        with pytest.raises(InputError, match="is not a number"):
            numbers(pd.DataFrame({"flux": ["1.5", wrong]}), "flux", "file")


@pytest.mark.parametrize("cell", ["null", "#N/A", "None"])
def test_every_reader_of_tables_takes_a_cell_without_a_value(tmp_path: Path, cell: str) -> None:
    plain, spelled = (chamber_file(tmp_path / name) for name in ("plain.csv", "spelled.csv"))
    lines = plain.read_text().splitlines()
    at = lines[0].split(",").index("flux")
    gap = [",".join(c if k != at else "" for k, c in enumerate(line.split(","))) for line in lines[1:2]]
    word = [",".join(c if k != at else cell for k, c in enumerate(line.split(","))) for line in lines[1:2]]
    plain.write_text("\n".join([lines[0], *gap, *lines[2:]]))
    spelled.write_text("\n".join([lines[0], *word, *lines[2:]]))
    for source in (plain, spelled):
        table.build(block(source), tmp_path / source.stem, [str(source)])
    names = [tmp_path / stem / "observations.parquet" for stem in ("plain", "spelled")]
    pd.testing.assert_frame_equal(*map(files.read_parquet, names))
    (tmp_path / "list.csv").write_text(f"SITE_ID,LOCATION_LAT,LOCATION_LONG,IGBP,elv\nNA,1.5,2,{cell},{cell}\n")
    assert read_metadata(tmp_path / "list.csv") == {"NA": {"site": "NA", "lat": 1.5, "lon": 2}}


@pytest.mark.parametrize("above", ["", "# one\n# two\n", "\n# one\n\n"])
def test_lines_are_counted_from_the_top_of_the_file(tmp_path: Path, above: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{above}a,b\n1,2\n# between\n3,4,5\n")
    with pytest.raises(InputError, match=f"line {above.count(chr(10)) + 4} has 3 cells, the header has 2"):
        read_table(path, required=("a",), comment="#")


def test_two_runs_give_the_same_tables(tmp_path: Path) -> None:
    source = chamber_file(tmp_path / "chambers.csv")
    for name in ("one", "two"):
        table.build(block(source), tmp_path / name)
    one, two = (pd.read_parquet(tmp_path / name / "observations.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    assert (tmp_path / "one/sites.csv").read_bytes() == (tmp_path / "two/sites.csv").read_bytes()


@pytest.mark.parametrize(
    ("lat", "lon", "said"),
    [
        (50.0, 190.0, "not a position on Earth"),
        (40.0, -150.0, r"\(40, -150\) lies in the sea"),
        (-33.0, -149.0, "lies in the sea"),
    ],
)
def test_positions_are_checked(tmp_path: Path, lat: float, lon: float, said: str) -> None:
    source = chamber_file(tmp_path / "chambers.csv", lat=lat, lon=lon)
    with pytest.raises(InputError, match=said) as caught:
        table.build(block(source), tmp_path / "out")
    assert "site 'A'" in caught.value.where
    assert not (tmp_path / "out").exists()


def test_a_wrong_sign_is_recognised(tmp_path: Path) -> None:
    source = chamber_file(tmp_path / "chambers.csv", lat=40.0, lon=105.0 - 210.0 + 65.0)  # (40, -40) is in the Atlantic
    with pytest.raises(InputError, match=r"wrong sign.*\(40, 40\)"):
        table.build(block(source), tmp_path / "out")
    report = table.build(block(source, sea_sites="warn"), tmp_path / "out")
    assert any("lies in the sea" in note for note in report["sites"]["A"]["notes"])


def test_real_coastal_sites_count_as_land() -> None:
    assert table.on_land(43.732, 10.2909)  # IT-SR2
    assert table.on_land(37.6156, -122.1140)  # US-EDN, a salt marsh


def test_a_site_in_two_sources_is_refused(tmp_path: Path) -> None:
    files = [chamber_file(tmp_path / name) for name in ("a.csv", "b.csv")]
    with pytest.raises(InputError, match="'A' comes from two sources"):
        table.build(block(*files), tmp_path / "out")


def test_undeclared_inputs_are_refused(tmp_path: Path) -> None:
    files = [chamber_file(tmp_path / f"{name}.csv", site=name) for name in "ab"]
    with pytest.raises(InputError, match="1 files of the configuration are not among the declared inputs"):
        table.build(block(*files), tmp_path / "out", [str(files[0])])


def test_inputs_of_a_block(tmp_path: Path) -> None:
    chamber_file(tmp_path / "b.csv"), chamber_file(tmp_path / "a.csv")
    entry = {"source": "chambers", "path": str(tmp_path / "*.csv"), "attributes": "soil.csv"}
    assert site_inputs(SitesBlock(entries=[entry])) == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "soil.csv"]
    literal = SitesBlock(entries=[{"source": "chambers", "path": "not/made/yet.csv"}])
    assert site_inputs(literal) == ["not/made/yet.csv"]
    with pytest.raises(InputError, match="no file matches"):
        site_inputs(SitesBlock(entries=[{"source": "chambers", "path": str(tmp_path / "*.txt")}]))
    folder = SitesBlock(entries=[{"source": "cosore", "path": "cosore/d1"}])
    assert site_inputs(folder) == [f"cosore/d1/{name}" for name in ("DESCRIPTION.txt", "PORTS.txt", "data/data.RDS")]


def test_asking_for_inputs_imports_nothing_heavy() -> None:
    heavy = "{'pandas', 'numpy', 'xarray', 'torch'}"
    code = f"import sys, fluxatlas.ingest.sites.inputs; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_attributes_are_joined_and_checked(tmp_path: Path) -> None:
    source = chamber_file(tmp_path / "chambers.csv")
    soil = tmp_path / "soil.csv"
    soil.write_text("# a comment\nsite,sand,clay,attribute_note\nA,60,7,guessed\n")
    entry = {"source": "chambers", "path": str(source), "attributes": str(soil)}
    table.build(SitesBlock(entries=[entry]), tmp_path / "out")
    row = pd.read_csv(tmp_path / "out/sites.csv").iloc[0]
    assert (row["sand"], row["clay"], row["attribute_note"]) == (60, 7, "guessed")
    soil.write_text("site,sand\nA,160\n")
    with pytest.raises(InputError, match="'sand' lie outside"):
        table.build(SitesBlock(entries=[entry]), tmp_path / "out")


def test_shipped_attributes_are_complete_and_honest() -> None:
    from fluxatlas.ingest.sites.metadata import read_attributes

    shipped = read_attributes(RESOURCES / "sites_soil_methane.csv")
    assert shipped["attribute_note"].str.startswith("assumed").all()
    assert shipped.drop(columns="elevation").notna().all(axis=None)  # elevation only where the data file has none
    assert len(shipped) == 7


def test_empty_block_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sites are configured"):
        table.build(SitesBlock(), tmp_path / "out")
    with pytest.raises(InputError, match="file not found"):
        table.build(block(tmp_path / "nowhere.csv"), tmp_path / "out")


def test_min_days_leaves_sites_out(tmp_path: Path) -> None:
    files = [chamber_file(tmp_path / "a.csv", "A", days=4), chamber_file(tmp_path / "b.csv", "B", days=20)]
    report = table.build(block(*files, min_days=10), tmp_path / "out")
    assert report["totals"]["sites"] == 1
    assert "left out: 4 observed days, sites.min_days asks for 10" in report["sites"]["A"]["notes"]
    with pytest.raises(InputError, match="no site is left"):
        table.build(block(*files, min_days=100), tmp_path / "out")


def test_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from fluxatlas.ingest.sites.commands import app

    source = chamber_file(tmp_path / "chambers.csv")
    settings = block(source).model_dump_json()
    call = ["build", "--settings", settings, "--output-dir", str(tmp_path / "out"), "--input", str(source)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "A fch4: kept 18 of 18 values; kept 18 of 18 days" in done.output
    assert (tmp_path / "out/report.json").exists()
    for bad, said in (("{", "not JSON"), ('{"entires": []}', "did you mean 'entries'")):
        failed = CliRunner().invoke(app, ["build", "--settings", bad, "--output-dir", str(tmp_path)])
        assert isinstance(failed.exception, FluxAtlasError)
        assert said in str(failed.exception)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("site,lat,lon,elevation,igbp,utc_offset", "XX-Tst,50,10,5,ENF,1"),
        ("SITE_ID,LOCATION_LAT,LOCATION_LONG,LOCATION_ELEV,IGBP,UTC_OFFSET", "XX-Tst,50,10,5,ENF,1"),
        ("sitename,Longitude,LATITUDE,elv,igbp_land_use,utc offset", "XX-Tst,10,50,5,ENF,1"),
        ("Site ID,Lat,Long,Elevation (m),IGBP,UTC_offset", "XX-Tst,50,10,5,ENF,1"),
        ("Flux_name,LC,Lat,lon,flux_site,alt,utc_offset", "Tharandt,ENF,50,10,XX-Tst,5,1"),
    ],
)
def test_site_lists_of_many_makers(tmp_path: Path, header: str, row: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\n{row}\n")
    facts = {"site": "XX-Tst", "lat": 50.0, "lon": 10.0, "elevation": 5.0, "igbp": "ENF", "utc_offset": 1.0}
    assert read_metadata(path) == {"XX-Tst": facts}


def test_numbers_of_another_legend_are_no_igbp_classes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("site,lat,lon,LC\nA,50,10,4\n")
    assert read_metadata(path) == {"A": {"site": "A", "lat": 50.0, "lon": 10.0}}


def test_the_site_list_of_cardamom(data_dir: Path) -> None:
    found = read_metadata(data_dir / "flux_towers/CARDAMOM-framework_CARDAMOM_v2.2/location_fluxnet.csv")
    assert len(found) == 204
    assert found["AR-SLu"] == {"site": "AR-SLu", "lat": -33.4648, "lon": -66.4598, "igbp": "MF"}


def test_attributes_of_other_sites_alone_are_refused(tmp_path: Path) -> None:
    """They would be used for nothing, without a word."""
    source, listed = chamber_file(tmp_path / "chambers.csv", site="US-Abc"), tmp_path / "attributes.csv"
    entry = {"source": "chambers", "path": str(source), "attributes": str(listed)}
    listed.write_text("site,sand,clay\nUS_Abc,40,20\n")
    with pytest.raises(ConfigError, match=r"such as 'US_Abc'; did you mean 'US-Abc'"):
        table.build(SitesBlock(entries=[entry]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    listed.write_text("site,sand,clay\nUS-Abc,40,20\nUS-Two,10,10\n")
    (record,) = table.read_sites(SitesBlock(entries=[entry]), Ledger())
    assert record.site["sand"] == 40
