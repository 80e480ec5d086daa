"""`fluxatlas fetch` from a Zarr store in a cloud: the real s3fs against an S3 server on this machine (moto)."""

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr

from fluxatlas import cli
from fluxatlas.fetch.routes import zarr as route

moto_server = pytest.importorskip("moto.server", reason="no S3 server: moto is not installed")
SECRET = "the-s3cret-of-the-bucket"
PATIENCE = json.dumps({"tries": 2, "pause": 0.01, "timeout": 5})
HOURS = 30
RECIPE = """
dataset: era5
route: zarr
url: s3://bucket/era5.zarr
storage: {client_kwargs: {endpoint_url: BASE}}
file: "{variable}_{year}{month}{day}.nc"
per: day
step_hours: 1
can_cut: true
edge: 0.0
variables:
  t2m: {request: 2m_temperature}
"""


def world(hours: int = HOURS, first: str = "2001-01-31T00") -> xr.Dataset:
    """A coarse Earth laid out as the analysis-ready stores: latitude falling, longitude 0 to 360, a chunk per hour."""
    times = np.datetime64(first, "ns") + np.arange(hours) * np.timedelta64(1, "h")
    lat, lon = np.arange(90.0, -91, -10), np.arange(0.0, 360, 10)
    values = (np.arange(hours)[:, None, None] * 1000 + lat[:, None] * 2 + lon / 10).astype(np.float32)
    coords = {"time": times, "latitude": lat, "longitude": lon}
    return xr.Dataset({"2m_temperature": (("time", "latitude", "longitude"), values, {"units": "K"})}, coords)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(endpoint: str):
    import s3fs

    patch = pytest.MonkeyPatch()
    access = {"AWS_ACCESS_KEY_ID": "test-access-id", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in access.items():
        patch.setenv(name, value)
    files = s3fs.S3FileSystem(
        client_kwargs={"endpoint_url": endpoint}, skip_instance_cache=True, use_listings_cache=False
    )
    files.mkdir("bucket")
    options = {"client_kwargs": {"endpoint_url": endpoint}}
    encoding = {"2m_temperature": {"chunks": (1, 19, 36)}}
    world().to_zarr("s3://bucket/era5.zarr", storage_options=options, encoding=encoding, zarr_format=2)
    yield files
    patch.undo()


@pytest.fixture
def fetch(bucket, endpoint, tmp_path, monkeypatch, capfd):
    def run(*options: str, recipe: str = RECIPE) -> tuple[int, str]:
        (tmp_path / "recipe.yaml").write_text(recipe.replace("BASE", endpoint))
        arguments = ["fetch", str(tmp_path / "recipe.yaml"), "--output-dir", str(tmp_path / "out"), "--years", "2001"]
        monkeypatch.setattr(sys, "argv", ["fluxatlas", *arguments, "--patience", PATIENCE, *options])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = "".join(capfd.readouterr())
        assert SECRET not in said and "Traceback" not in said
        return int(end.value.code or 0), said

    return run


@pytest.fixture
def one_day(monkeypatch: pytest.MonkeyPatch):
    """The command asks for whole months; here the only day of January in the store is enough."""
    from datetime import datetime

    import fluxatlas.fetch.items as items

    monkeypatch.setattr(items, "_periods", lambda *a: iter([(datetime(2001, 1, 31), datetime(2001, 2, 1))]))


def test_a_day_of_a_box_across_greenwich(fetch, one_day, tmp_path):
    status, said = fetch("--bbox", "-15 20 25 50")
    assert status == 0, said
    with xr.open_dataset(tmp_path / "out" / "t2m_20010131.nc") as got:
        expected = world().isel(time=slice(0, 24))
        np.testing.assert_array_equal(got.longitude, [-10, 0, 10, 20])
        np.testing.assert_array_equal(got.latitude, [50, 40, 30, 20])
        np.testing.assert_array_equal(got.time, expected.time)
        wanted = expected["2m_temperature"].sel(latitude=[50, 40, 30, 20], longitude=[350, 0, 10, 20])
        np.testing.assert_array_equal(got["2m_temperature"], wanted)
        assert got["2m_temperature"].attrs["units"] == "K"
    record = json.loads((tmp_path / "out" / "t2m_20010131.nc.json").read_text())
    assert record["source"] == "s3://bucket/era5.zarr" and record["request"]["area"] == [-15, 20, 25, 50]


def test_without_a_box_the_whole_earth_comes(fetch, one_day, tmp_path):
    assert fetch()[0] == 0
    with xr.open_dataset(tmp_path / "out" / "t2m_20010131.nc") as got:
        np.testing.assert_array_equal(got["2m_temperature"], world()["2m_temperature"][:24])


def test_a_chunk_that_the_store_lacks_is_no_missing_value(fetch, one_day, bucket, tmp_path):
    chunk = "bucket/era5.zarr/2m_temperature/5.0.0"
    content = bucket.cat(chunk)
    bucket.rm(chunk)
    status, said = fetch()
    bucket.pipe(chunk, content)
    assert status == 1 and "holds no value in 1 of 24 steps, first 2001-01-31 05:00" in said
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_fetch_goes_on_with_the_next_block(fetch, one_day, tmp_path, monkeypatch):
    monkeypatch.setattr(route, "BLOCK_BYTES", 6 * 4 * 19 * 36)
    real, reads = route._patiently, []

    def breaking(read, url, context):
        reads.append(getattr(read, "args", None))
        if len(reads) == 4:
            raise route.FetchError("the line was cut")
        return real(read, url, context)

    monkeypatch.setattr(route, "_patiently", breaking)
    status, said = fetch()
    assert status == 1 and "the line was cut" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".t2m_20010131.nc.part"]
    before = len(reads)
    assert fetch()[0] == 0
    again = [args[0].time.values[0] for args in reads[before:] if args]
    assert again == [np.datetime64("2001-01-31T12"), np.datetime64("2001-01-31T18")]
    with xr.open_dataset(tmp_path / "out" / "t2m_20010131.nc") as got:
        np.testing.assert_array_equal(got["2m_temperature"], world()["2m_temperature"][:24])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("era5.zarr", "absent.zarr"), "does not exist"),
        (("2m_temperature", "skin_temperature"), "the store has no t2m or skin_temperature but 2m_temperature"),
        (("BASE", "http://127.0.0.1:9"), "cannot be read"),
    ],
)
def test_stores_that_cannot_be_used(fetch, one_day, tmp_path, change, words):
    status, said = fetch(recipe=RECIPE.replace(*change))
    assert status == 1 and words in said
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").glob("[!.]*")) == []


def test_a_period_that_the_store_holds_in_part_or_not_at_all(fetch, tmp_path):
    status, said = fetch("--month", "2", recipe=RECIPE.replace("{day}", "").replace("per: day", "per: month"))
    assert status == 1 and "666 hours are missing, the first 2001-02-01 06" in said
    status, said = fetch("--month", "3", recipe=RECIPE.replace("{day}", "").replace("per: day", "per: month"))
    assert status == 1 and "holds nothing from 2001-03-01" in said
    assert list((tmp_path / "out").glob("[!.]*")) == []
