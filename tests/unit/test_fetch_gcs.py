"""`fluxatlas fetch` from a Zarr store of Google's cloud: the real gcsfs against a stand-in for its storage API."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
import xarray as xr

from fluxatlas import cli

if importlib.util.find_spec("gcsfs") is None:
    pytest.skip("gcsfs is not installed", allow_module_level=True)
RECIPE = """
dataset: era5
route: zarr
url: gs://bucket/ar/era5.zarr-v3
storage: {token: anon, endpoint_url: BASE}
file: "{variable}_{year}_{month}.nc"
per: month
step_hours: 1
can_cut: true
edge: 0.0
variables:
  t2m: {request: 2m_temperature}
"""
HOURS = 31 * 24


def world() -> xr.Dataset:
    """January 2001 on a coarse Earth, a chunk per day, longitude 0 to 360 as in the public store."""
    times = np.datetime64("2001-01-01T00", "ns") + np.arange(HOURS) * np.timedelta64(1, "h")
    lat, lon = np.arange(90.0, -91, -30), np.arange(0.0, 360, 30)
    values = (np.arange(HOURS)[:, None, None] + lat[:, None] / 10 + lon / 1000).astype(np.float32)
    coords = {"time": times, "latitude": lat, "longitude": lon}
    return xr.Dataset({"2m_temperature": (("time", "latitude", "longitude"), values, {"units": "K"})}, coords)


class Storage(BaseHTTPRequestHandler):
    """The objects of one bucket out of a folder: get, describe, list; the answers of ``broken`` come first."""

    folder: Path
    broken: list[int]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        key = unquote(address.path.partition("/b/bucket/o")[2]).lstrip("/")
        if self.broken and query.get("alt") == "media":
            self._answer(self.broken.pop(0), b"{}")
        elif not key:
            self._answer(200, json.dumps(self._listing(query.get("prefix", ""))).encode())
        elif not (self.folder / key).is_file():
            self._answer(404, b'{"error": {"code": 404, "message": "no such object"}}')
        elif query.get("alt") == "media":
            self._answer(200, (self.folder / key).read_bytes())
        else:
            self._answer(200, json.dumps(self._facts(self.folder / key)).encode())

    def _facts(self, path: Path) -> dict[str, str]:
        name = path.relative_to(self.folder).as_posix()
        return {"kind": "storage#object", "name": name, "bucket": "bucket", "size": str(path.stat().st_size)}

    def _listing(self, prefix: str) -> dict[str, list[dict[str, str]]]:
        found = [self._facts(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {"items": [facts for facts in found if facts["name"].startswith(prefix)]}

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No log on the terminal."""


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[tuple[type[Storage], str]]:
    handler = type("Bucket", (Storage,), {"folder": tmp_path / "bucket", "broken": []})
    encoding = {"2m_temperature": {"chunks": (24, 7, 12)}}
    world().to_zarr(handler.folder / "ar" / "era5.zarr-v3", encoding=encoding, zarr_format=2, consolidated=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetch(folder: Path, base: str, monkeypatch, capfd, *options: str) -> tuple[int, str]:
    (folder / "recipe.yaml").write_text(RECIPE.replace("BASE", base))
    patience = json.dumps({"tries": 3, "pause": 0.01, "timeout": 5})
    arguments = ["fetch", str(folder / "recipe.yaml"), "--output-dir", str(folder / "out"), "--years", "2001"]
    monkeypatch.setattr(
        sys,
        "argv",
        ["fluxatlas", *arguments, "--month", "1", "--patience", patience, "--bbox", "-40 0 40 60", *options],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0), "".join(capfd.readouterr())


def test_a_month_of_a_box_comes_from_the_store(storage, tmp_path, monkeypatch, capfd) -> None:
    handler, base = storage
    handler.broken = [503]
    status, said = fetch(tmp_path, base, monkeypatch, capfd)
    assert status == 0, said
    with xr.open_dataset(tmp_path / "out" / "t2m_2001_01.nc") as got:
        wanted = world()["2m_temperature"].sel(latitude=[60, 30, 0], longitude=[330, 0, 30])
        np.testing.assert_array_equal(got["2m_temperature"], wanted)
        np.testing.assert_array_equal(got.longitude, [-30, 0, 30])
    record = json.loads((tmp_path / "out" / "t2m_2001_01.nc.json").read_text())
    assert record["source"] == "gs://bucket/ar/era5.zarr-v3"


def test_a_store_that_is_not_there_is_one_message(storage, tmp_path, monkeypatch, capfd) -> None:
    handler, base = storage
    for document in (".zmetadata", ".zgroup", ".zattrs"):
        (handler.folder / "ar" / "era5.zarr-v3" / document).unlink(missing_ok=True)
    status, said = fetch(tmp_path, base, monkeypatch, capfd)
    assert status == 1 and "gs://bucket/ar/era5.zarr-v3" in said and "Traceback" not in said
    assert list((tmp_path / "out").glob("*")) == []
