"""The parts of `fluxatlas fetch` that need no server: recipes, periods, checksums, credentials in messages."""

import hashlib
import itertools
import json
import logging
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from fluxatlas.errors import ConfigError, FetchError
from fluxatlas.fetch import checksum, secrets
from fluxatlas.fetch.check import check
from fluxatlas.fetch.commands import parse_bbox, parse_patience, parse_years
from fluxatlas.fetch.datasets import COLUMNS, datasets
from fluxatlas.fetch.items import items
from fluxatlas.fetch.recipe import Recipe, load_recipe, names
from fluxatlas.paths import RESOURCES

BASE = {
    "dataset": "era5",
    "route": "http",
    "url": "http://127.0.0.1/{variable}",
    "file": "{variable}_{year}_{month}.nc",
}


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({**BASE, "variables": {"a": {}, "b": {}}, **changes})


@pytest.mark.parametrize(("per", "pattern", "count"), [
    ("year", "{variable}_{year}", 2), ("month", "{variable}_{year}{month}", 24),
    ("day", "{variable}_{year}{doy}", 731), ("hour", "{variable}_{year}{month}{day}{hour}", 731 * 24),
])  # fmt: skip
def test_periods_follow_on_each_other_without_gap(per, pattern, count):
    found = items(recipe(per=per, file=pattern), "out", years=[2000, 2001], variables=["a"])
    assert len(found) == count
    assert found[0].start == datetime(2000, 1, 1) and found[-1].stop == datetime(2002, 1, 1)
    assert all(first.stop == second.start for first, second in itertools.pairwise(found))
    assert len({item.target for item in found}) == count


def test_months_and_variables_can_be_chosen():
    found = items(recipe(), "out", years=[2000], variables=["b"], months=[2, 12])
    assert [str(item.target) for item in found] == ["out/b_2000_02.nc", "out/b_2000_12.nc"]


def test_a_box_is_widened_within_the_globe_and_only_where_the_provider_cuts():
    assert items(recipe(), "out", years=[2000], area=(0, 0, 1, 1))[0].area is None
    cut = recipe(can_cut=True, edge=0.5)
    assert items(cut, "out", years=[2000], area=(-180, 10, -170, 89.8))[0].area == (-180, 9.5, -169.5, 90)
    with pytest.raises(ConfigError, match="is empty"):
        items(cut, "out", years=[2000], area=(10, 0, 0, 1))


@pytest.mark.parametrize(("changes", "words"), [
    ({"file": "{year}_{month}.nc"}, "must hold {variable}"), ({"file": "{variable}_{year}.nc"}, "must hold {month}"),
    ({"file": "{variable}_{yaer}.nc"}, "unknown placeholder {yaer}; did you mean 'year'"), ({"url": ""}, "needs 'url'"),
    ({"route": "cds"}, "needs 'collection'"), ({"rouet": "http"}, "did you mean 'route'"), ({"per": "week"}, "per"),
])  # fmt: skip
def test_bad_recipes(tmp_path, changes, words):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**BASE, "variables": {"a": {}}, **changes}))
    with pytest.raises(ConfigError) as problem:
        load_recipe(tmp_path / "r.yaml")
    assert words in str(problem.value)


@pytest.mark.parametrize(
    ("content", "words"), [(b"a: [", "not YAML"), (b"\xff\xfe\x00", "not UTF-8"), (b"", "is empty")]
)
def test_files_that_are_no_recipe(tmp_path, content, words):
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize(("read", "text"), [
    (parse_years, "2001-1999"), (parse_years, "1e3"), (parse_bbox, "1 2 3"), (parse_bbox, "a b c d"),
    (parse_patience, "[]"), (parse_patience, "{"), (parse_patience, '{"tries": "3"}'),
    (parse_patience, '{"pause": -1}'), (load_recipe, "../../etc/passwd"), (load_recipe, "no such"),
])  # fmt: skip
def test_bad_options_are_refused(read, text):
    with pytest.raises(ConfigError):
        read(text)


@pytest.mark.parametrize("options", [{}, {"years": [2000], "months": [13]}, {"years": [2000], "variables": ["c"]}])
def test_bad_choices_are_refused(options):
    with pytest.raises(ConfigError):
        items(recipe(), "out", **options)


def test_years():
    assert parse_years("1999, 2001-2003") == [1999, 2001, 2002, 2003]


# --- checksums: expected digits from hashlib, layouts as coreutils, BSD and providers write them


DATA = b"some file"


@pytest.mark.parametrize("algorithm", list(checksum.DIGITS))
@pytest.mark.parametrize(
    "layout", ["{d}", "{a}:{d}", "{d}  a.nc", "{d} *a.nc", "{A} (a.nc) = {d}", "{d}  ./x/a.nc", "{D}"]
)
def test_checksums_are_found_in_every_usual_layout(algorithm, layout):
    digits = hashlib.new(algorithm, DATA).hexdigest()
    text = layout.format(d=digits, a=algorithm, A=algorithm.upper(), D=digits.upper())
    assert checksum.parse(text, "a.nc") == (algorithm, digits)


def test_a_list_gives_the_line_of_the_file_and_no_other():
    lines = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.nc", "ba.nc", "a.nc4")}
    text = "\n".join(f"{digits}  {name}" for name, digits in lines.items())
    for name, digits in lines.items():
        assert checksum.parse(text, name) == ("sha256", digits)
    assert checksum.parse(text, "c.nc") is None


@pytest.mark.parametrize("text", ["", "not found", "0" * 33, "<html>", "g" * 32])
def test_what_is_no_checksum(text):
    assert checksum.parse(text, "a.nc") is None


def test_checksums_in_headers():
    from base64 import b64encode

    md5, sha = hashlib.md5(DATA), hashlib.sha256(DATA)
    encoded = b64encode(md5.digest()).decode()
    assert checksum.from_headers({"x-goog-hash": f"crc32c=AAAAAA==, md5={encoded}"}) == ("md5", md5.hexdigest())
    digest = {"repr-digest": f"sha-256=:{b64encode(sha.digest()).decode()}:"}
    assert checksum.from_headers(digest) == ("sha256", sha.hexdigest())
    assert checksum.from_headers({"content-md5": "not base64!", "etag": '"abc"'}) is None


# --- credentials


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalr-secret-1", "EARTHDATA_TOKEN": "eyJ.secret.2", "EARTHDATA_PASSWORD": "pass word 3",
    "CDSAPI_KEY": "0000-secret-4",
}  # fmt: skip


@pytest.fixture
def known_secrets(monkeypatch, tmp_path: Path) -> list[str]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "cdsapirc").write_text("url: https://store/api\nkey: rc-file-secret-5\n")
    (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login me password netrc-secret-6\n")
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "cdsapirc"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return [*SECRETS.values(), "rc-file-secret-5", "netrc-secret-6"]


def test_known_credentials_are_taken_out(known_secrets):
    for value in known_secrets:
        assert secrets.scrub(f"before {value} after") == "before *** after"


@pytest.mark.parametrize("text", [
    "https://me:unknown-pw@host/file", "https://h/f?X-Amz-Signature=unknown-pw&x=1", "https://h/f?token=unknown-pw",
    "{'Authorization': 'Bearer unknown-pw'}", "PRIVATE-TOKEN: unknown-pw", "Authorization: Basic unknown-pw",
    "X-Amz-Security-Token=unknown-pw",
])  # fmt: skip
def test_credentials_that_are_not_known_are_taken_out_by_their_place(text):
    assert "unknown-pw" not in secrets.scrub(text)


def test_plain_messages_are_left_alone():
    text = "t2m_2001_02.nc: 24 hours are missing, the first 2001-02-28 00 (https://host/a/b.nc?year=2001)"
    assert secrets.scrub(text) == text


def test_what_clients_log_is_cleaned(known_secrets, caplog):
    caplog.set_level(logging.DEBUG)
    for name in (
        "cdsapi",
        "ecmwf.datastores.legacy_client",
        "earthaccess.auth",
        "botocore.auth",
        "urllib3.connectionpool",
    ):
        logging.getLogger(name)
    secrets.guard_logs()
    for name in (
        "cdsapi",
        "ecmwf.datastores.legacy_client",
        "earthaccess.auth",
        "botocore.auth",
        "urllib3.connectionpool",
    ):
        logging.getLogger(name).debug("key %s", {"key": SECRETS["CDSAPI_KEY"]})
        try:
            raise ValueError(SECRETS["EARTHDATA_TOKEN"])
        except ValueError:
            logging.getLogger(name).exception("failed with %s", "rc-file-secret-5")
    assert len(caplog.records) == 10
    assert not any(value in caplog.text for value in known_secrets)


def test_a_bare_address_has_no_user_and_no_signature():
    assert secrets.bare("https://me:pw@host:8/a/b.nc?X-Amz-Signature=1#x") == "https://host:8/a/b.nc"


# --- the table of data sets


def test_the_table_is_complete():
    table = datasets()
    for row in table.values():
        assert tuple(row) == COLUMNS and None not in row.values()
        assert row["title"] and row["citation"] and row["licence"] and row["access"], row["name"]
        assert row["tag"] in ("V", "R+", "R", "R-"), row["name"]
        assert not row["doi"] or row["doi"].startswith("10."), row["name"]
    mapped = {name for row in table.values() for name in row["mapping"].split()}
    assert mapped == {path.stem for path in (RESOURCES / "mappings").glob("*.yaml")}
    assert {name for row in table.values() for name in row["recipe"].split()} == set(names())


def test_recipes_fetch_what_the_mapping_of_the_same_name_reads():
    for name in names():
        path = RESOURCES / "mappings" / f"{name}.yaml"
        if path.exists():
            raw = yaml.safe_load(path.read_text())["raw"]
            found = load_recipe(name)
            assert set(raw) == (set(found.variables) or set(found.must_hold)), name


def test_the_provenance_of_a_file_names_the_licence():
    from fluxatlas.fetch.datasets import describe

    assert json.dumps(describe("era5_land")).count("10.5194/essd-13-4349-2021") == 1
    assert describe("of my own") == {"dataset": "of my own"}


def _two_bands(path: Path, interleave: str) -> bytes:
    """The bytes of a GeoTIFF of two bands of noise."""
    data = np.random.default_rng(1).integers(0, 255, (2, 300, 300), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=2, dtype="uint8", interleave=interleave, crs="EPSG:4326"
    ) as raster:
        raster.write(data)
    return path.read_bytes()


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_a_raster_is_read_to_its_end(tmp_path: Path, interleave: str):
    (item,) = items(recipe(per="once", format="tiff", file="{variable}.tif"), tmp_path, years=[2000], variables=["a"])
    whole = _two_bands(item.target, interleave)
    assert check(item.target, item) == {"width": 300, "height": 300, "bands": 2}
    for share in (0.3, 0.7, 0.99):
        item.target.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FetchError, match="not a readable GeoTIFF"):
            check(item.target, item)
