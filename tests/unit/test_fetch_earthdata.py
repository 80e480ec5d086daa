"""`fluxatlas fetch` from NASA Earthdata: the real client earthaccess against a stand-in of search and archive."""

import hashlib
import json
import logging
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import xarray as xr

from fluxatlas import cli

earthaccess = pytest.importorskip("earthaccess", reason="earthaccess is not installed")

from fluxatlas.fetch.routes import earthdata  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_server import bad_server  # noqa: E402

TOKEN = "eyJ-the-token-of-the-test"
PATIENCE = json.dumps({"tries": 3, "pause": 0.01, "timeout": 2})
RECIPE = """
dataset: nldas2
route: earthdata
collection: NLDAS_FORA0125_H
version: "2.0"
file: "NLDAS_{year}{month}{day}.nc"
per: day
step_hours: 1
must_hold: [Tair]
"""


def a_day(path: Path, day: int) -> bytes:
    times = np.datetime64(f"2001-02-{day:02d}", "ns") + np.arange(24) * np.timedelta64(1, "h")
    data = 280 + np.random.default_rng(day).random((24, 20, 20), dtype=np.float32)
    coords = {"time": times, "lat": np.arange(20.0), "lon": np.arange(20.0)}
    xr.Dataset({"Tair": (("time", "lat", "lon"), data)}, coords).to_netcdf(path, engine="netcdf4")
    return path.read_bytes()


class Archive:
    def __init__(self, server, folder: Path) -> None:
        self.server, self.searches = server, []
        self.days = {day: a_day(folder / f"{day}.nc", day) for day in range(1, 4)}
        self.sums = {day: hashlib.md5(data).hexdigest() for day, data in self.days.items()}
        for day, data in self.days.items():
            server.files[f"/archive/{day}.nc"] = data
        server.answers = self.answer

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object] | None:
        if not path.startswith("/search/granules.umm_json"):
            return None
        self.searches.append(parse_qs(urlsplit(path).query))
        return 200, {"items": [self.granule(day) for day in self.days]}

    def granule(self, day: int) -> dict:
        extent = {
            "BeginningDateTime": f"2001-02-{day:02d}T00:00:00.000Z",
            "EndingDateTime": f"2001-02-{day:02d}T23:59:59Z",
        }
        stored = {"Name": f"{day}.nc", "Checksum": {"Value": self.sums[day], "Algorithm": "MD5"}}
        links = [{"URL": f"{self.server.base}/archive/{day}.nc", "Type": "GET DATA"}]
        umm = {"TemporalExtent": {"RangeDateTime": extent}, "RelatedUrls": links}
        umm["DataGranule"] = {"ArchiveAndDistributionInformation": [stored]}
        return {"meta": {"concept-id": f"G{day}", "provider-id": "TEST"}, "umm": umm}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with bad_server() as server:
        server.token = TOKEN
        system = earthaccess.system.System(f"{server.base}/search/", server.base, server.base, "127.0.0.1")
        monkeypatch.setattr(earthdata, "SYSTEM", system)
        monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        for cached in (earthdata._login, earthdata._search):
            cached.cache_clear()
        yield Archive(server, tmp_path)


@pytest.fixture
def fetch(tmp_path, monkeypatch, capfd, caplog):
    from datetime import datetime

    import fluxatlas.fetch.items as items

    caplog.set_level(logging.DEBUG)
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(*days: int) -> tuple[int, str]:
        periods = [(datetime(2001, 2, day), datetime(2001, 2, day + 1)) for day in days]
        monkeypatch.setattr(items, "_periods", lambda *a: iter(periods))
        arguments = ["fetch", str(tmp_path / "recipe.yaml"), "--output-dir", str(tmp_path / "out"), "--years", "2001"]
        monkeypatch.setattr(sys, "argv", ["fluxatlas", *arguments, "--patience", PATIENCE])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = "".join(capfd.readouterr()) + caplog.text
        assert TOKEN not in said and "Traceback" not in said
        for path in (tmp_path / "out").glob("*.json"):
            assert TOKEN not in path.read_text()
        return int(end.value.code or 0), said

    return run


def test_granules_of_a_month_need_one_search(archive, fetch, tmp_path):
    status, said = fetch(1, 2, 3)
    assert status == 0, said
    for day in (1, 2, 3):
        assert (tmp_path / "out" / f"NLDAS_200102{day:02d}.nc").read_bytes() == archive.days[day]
    assert len(archive.searches) == 1
    assert archive.searches[0]["short_name"] == ["NLDAS_FORA0125_H"] and archive.searches[0]["version"] == ["2.0"]
    record = json.loads((tmp_path / "out" / "NLDAS_20010201.nc.json").read_text())
    assert record["checksum"] == f"md5:{archive.sums[1]}"


def test_a_granule_is_continued(archive, fetch, tmp_path):
    archive.server.plans["/archive/1.nc"].append("cut:9000")
    assert fetch(1)[0] == 0
    assert archive.server.ranges("/archive/1.nc") == ["", "bytes=9000-"]
    assert (tmp_path / "out" / "NLDAS_20010201.nc").read_bytes() == archive.days[1]


def test_a_granule_with_another_checksum(archive, fetch, tmp_path):
    archive.sums[1] = "0" * 32
    status, said = fetch(1)
    assert status == 1 and "md5" in said and list((tmp_path / "out").iterdir()) == []


def test_a_day_that_the_provider_lacks(archive, fetch):
    status, said = fetch(9)
    assert status == 1 and "0 granules begin at 2001-02-09 00:00" in said


def test_an_expired_token(archive, fetch, tmp_path, monkeypatch):
    archive.server.token = "another one"
    status, said = fetch(1)
    assert status == 1 and "401" in said
    assert not (tmp_path / "out" / "NLDAS_20010201.nc").exists()


def test_a_token_that_expires_between_search_and_archive(archive, fetch, tmp_path):
    archive.server.plans["/archive/1.nc"].append(401)
    status, said = fetch(1)
    assert status == 1 and "401" in said and "credentials are missing, expired" in said
    assert list((tmp_path / "out").glob("[!.]*")) == []


def test_no_credentials(archive, fetch, monkeypatch):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    status, said = fetch(1)
    assert status == 1 and "no log-in to NASA Earthdata" in said and "EARTHDATA_TOKEN" in said


def test_a_password_in_the_netrc_file_is_never_shown(archive, fetch, tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password hunter22hunter22\n")
    status, said = fetch(1)
    assert status == 1 and "no connection to NASA Earthdata" in said and "hunter22" not in said
