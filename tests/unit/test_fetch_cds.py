"""`fluxatlas fetch` from the climate data store: the real client cdsapi against a small stand-in of its queue."""

import hashlib
import json
import logging
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas import cli

sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_server import BadServer, bad_server

KEY = "5ecret-0000-key-of-the-test"
PATIENCE = {"tries": 3, "pause": 0.01, "timeout": 1, "queue": 5}
RECIPE = """
dataset: era5_land
route: cds
collection: reanalysis-era5-land
file: "{variable}_{year}_{month}.nc"
per: month
step_hours: 1
can_cut: true
edge: 0.2
request: {data_format: netcdf, download_format: unarchived}
variables:
  t2m: {request: 2m_temperature}
"""


def month_of_hours(path: Path, hours: int = 28 * 24) -> bytes:
    times = np.datetime64("2001-02-01", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    data = 280 + np.random.default_rng(2).random((hours, 3, 4), dtype=np.float32)
    coords = {"valid_time": times, "latitude": [38.0, 37.9, 37.8], "longitude": [-5.0, -4.9, -4.8, -4.7]}
    xr.Dataset({"t2m": (("valid_time", "latitude", "longitude"), data)}, coords).to_netcdf(path, engine="netcdf4")
    return path.read_bytes()


class Store:
    """The stand-in: it answers as the store's public interface does (processes, jobs, results, an object store)."""

    def __init__(self, server: BadServer, result: bytes) -> None:
        self.server, self.result = server, result
        self.states: deque[str] = deque(["accepted", "running", "successful"])
        self.requests: list[dict] = []
        self.gone: set[str] = set()
        self.checksum = hashlib.md5(result).hexdigest()
        self.size = len(result)
        self.refuse: dict[str, tuple[int, dict]] = {}
        server.answers = self.answer

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object] | None:
        path = path.partition("?")[0].removeprefix("/api")
        if path.startswith("/objects/"):
            return None
        if path.endswith("/messages"):
            return 200, {"messages": []}
        if headers.get("private-token") != KEY:
            return 401, {"title": "authentication required", "detail": f"token {headers.get('private-token')} expired"}
        for part, reply in self.refuse.items():
            if part in path:
                return reply
        if path.startswith("/retrieve/v1/processes/"):
            if method == "POST":
                self.requests.append(json.loads(body)["inputs"])
                return 201, self.job(f"job-{len(self.requests)}", "accepted")
            return 200, {"id": path.rpartition("/")[2], "links": []}
        job = path.split("/")[4]
        if job in self.gone:
            return 404, {"title": "job not found"}
        if path.endswith("/results"):
            return self.results(job)
        state = self.states[0] if len(self.states) == 1 else self.states.popleft()
        return 200, self.job(job, state)

    def job(self, job: str, state: str) -> dict:
        here = f"{self.server.base}/api/retrieve/v1/jobs/{job}"
        links = [
            {"rel": "self", "href": here},
            {"rel": "monitor", "href": here},
            {"rel": "results", "href": here + "/results"},
        ]
        return {"jobID": job, "status": state, "processID": "reanalysis-era5-land", "links": links}

    def results(self, job: str) -> tuple[int, object]:
        if self.states[0] == "failed":
            return 400, {
                "title": "The job has failed",
                "detail": "MARS: no data for this date",
                "traceback": "ValueError",
            }
        self.server.files.setdefault(f"/objects/{job}.nc", self.result)
        value = {"href": f"{self.server.base}/objects/{job}.nc", "type": "application/netcdf", "file:size": self.size}
        return 200, {"asset": {"value": {**value, "file:checksum": self.checksum}}}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return month_of_hours(tmp_path_factory.mktemp("made") / "made.nc")


@pytest.fixture
def store(result: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with bad_server() as server:
        rc = tmp_path / "cdsapirc"
        rc.write_text(f"url: {server.base}/api\nkey: {KEY}\n")
        monkeypatch.setenv("CDSAPI_RC", str(rc))
        for name in ("CDSAPI_URL", "CDSAPI_KEY"):
            monkeypatch.delenv(name, raising=False)
        yield Store(server, result)


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog):
    """Runs the command; returns exit status and all that was printed or logged, in which the key must not stand."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(*options: str, **patience: float) -> tuple[int, str]:
        arguments = ["fetch", str(tmp_path / "recipe.yaml"), "--output-dir", str(tmp_path / "out"), "--years", "2001"]
        arguments += ["--month", "2", "--bbox", "-5 37.8 -4.7 38", "--patience", json.dumps({**PATIENCE, **patience})]
        monkeypatch.setattr(sys, "argv", ["fluxatlas", *arguments, *options])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capfd.readouterr()
        said = printed.out + printed.err + caplog.text
        beside = [path for path in (tmp_path / "out").glob(".*") if path.is_file()] + list(
            (tmp_path / "out").glob("*.json")
        )
        assert KEY not in said and not any(KEY in path.read_text(errors="replace") for path in beside)
        return int(end.value.code or 0), said

    return run


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "t2m_2001_02.nc"


def nothing_final(target: Path) -> bool:
    return not target.exists() and not target.with_name(target.name + ".json").exists()


def test_a_request_goes_through_the_queue(store, fetch, target, result):
    status, said = fetch()
    assert status == 0 and target.read_bytes() == result
    assert said.index("accepted") < said.index("running") < said.index("successful")
    assert store.requests == [
        {
            "data_format": "netcdf",
            "download_format": "unarchived",
            "variable": ["2m_temperature"],
            "year": ["2001"],
            "month": ["02"],
            "day": [f"{day:02d}" for day in range(1, 29)],
            "time": [f"{hour:02d}:00" for hour in range(24)],
            "area": [38.2, -5.2, 37.6, -4.5],
        }
    ]
    record = json.loads(target.with_name("t2m_2001_02.nc.json").read_text())
    assert record["cds_job"] == "job-1" and record["checksum"] == f"md5:{store.checksum}"
    assert record["content"]["steps"] == 28 * 24
    assert sorted(path.name for path in target.parent.iterdir()) == ["t2m_2001_02.nc", "t2m_2001_02.nc.json"]


def test_address_and_key_from_the_environment(store, fetch, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_RC", "/nonexistent")
    monkeypatch.setenv("CDSAPI_URL", f"{store.server.base}/api")
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    assert fetch()[0] == 0 and target.exists()


def test_a_request_that_fails(store, fetch, target):
    store.states = deque(["accepted", "failed"])
    status, said = fetch()
    assert status == 1 and "MARS: no data for this date" in said and "Traceback" not in said
    assert nothing_final(target) and list(target.parent.iterdir()) == []


def test_a_result_that_expired_is_asked_for_again(store, fetch, target, result):
    store.server.plans["/objects/job-1.nc"].append(404)
    status, said = fetch()
    assert status == 0 and target.read_bytes() == result
    assert len(store.requests) == 2 and "expired" in said


def test_a_result_that_expires_again_and_again(store, fetch, target):
    for job in ("job-1", "job-2"):
        store.server.plans[f"/objects/{job}.nc"].extend([404] * 5)
    status, said = fetch()
    assert status == 1 and "gone from the store" in said and len(store.requests) == 2 and nothing_final(target)


def test_a_request_that_waits_too_long_is_taken_up_again(store, fetch, target, result):
    store.states = deque(["accepted"])
    status, said = fetch(queue=0.05)
    assert status == 1 and "still 'accepted'" in said and nothing_final(target)
    store.states = deque(["running", "successful"])
    assert fetch()[0] == 0 and target.read_bytes() == result
    assert len(store.requests) == 1


def test_a_request_that_the_store_forgot_is_sent_again(store, fetch, target):
    store.states = deque(["accepted"])
    fetch(queue=0.05)
    store.gone.add("job-1")
    store.states = deque(["successful"])
    assert fetch()[0] == 0 and len(store.requests) == 2 and target.exists()


def test_a_result_that_breaks_off_is_continued_from_the_same_request(store, fetch, target, result):
    store.server.plans["/objects/job-1.nc"].extend(["cut:9000", 503, 503, 503])
    status, said = fetch()
    assert status == 1 and "503" in said and nothing_final(target)
    store.server.plans.clear()
    assert fetch()[0] == 0 and target.read_bytes() == result
    assert len(store.requests) == 1 and store.server.ranges("/objects/job-1.nc")[-1] == "bytes=9000-"


@pytest.mark.parametrize(
    "path", ["/api/retrieve/v1/processes/reanalysis-era5-land/execution", "/api/retrieve/v1/jobs/job-1"]
)
def test_a_store_that_is_busy_for_a_while(store, fetch, target, path):
    store.server.plans[path].extend([503, 502])
    assert fetch()[0] == 0 and target.exists()


def test_a_store_that_is_down(store, fetch, target):
    store.server.plans["/api/retrieve/v1/processes/reanalysis-era5-land"].extend([503] * 50)
    status, said = fetch()
    assert status == 1 and "503" in said and nothing_final(target)


def test_a_damaged_result(store, fetch, target):
    store.checksum = "0" * 32
    status, said = fetch()
    assert status == 1 and "md5" in said and nothing_final(target) and list(target.parent.iterdir()) == []


def test_a_result_of_another_size(store, fetch, target):
    store.size += 1
    status, said = fetch()
    assert status == 1 and "another size" in said and nothing_final(target)


def test_a_result_with_too_few_hours(store, fetch, target, tmp_path):
    store.result = month_of_hours(tmp_path / "short.nc", 27 * 24)
    store.checksum, store.size = hashlib.md5(store.result).hexdigest(), len(store.result)
    status, said = fetch()
    assert status == 1 and "24 hours are missing, the first 2001-02-28 00" in said and nothing_final(target)


def test_an_expired_key(store, fetch, target, tmp_path, monkeypatch):
    other = tmp_path / "oldrc"
    other.write_text(f"url: {store.server.base}/api\nkey: 0ld-{KEY[::-1]}\n")
    monkeypatch.setenv("CDSAPI_RC", str(other))
    status, said = fetch()
    assert status == 1 and "refuses the key (401)" in said and KEY[::-1] not in said
    assert nothing_final(target)


def test_a_licence_that_is_not_accepted(store, fetch, target):
    detail = {"title": "permission denied", "detail": "required licences not accepted"}
    store.refuse["/execution"] = (403, detail)
    status, said = fetch()
    assert status == 1 and "required licences not accepted" in said and "accept the licence" in said
    assert nothing_final(target)


def test_no_credentials(store, fetch, monkeypatch):
    monkeypatch.setenv("CDSAPI_RC", "/nonexistent/cdsapirc")
    status, said = fetch()
    assert status == 1 and "Missing/incomplete configuration file" in said and store.requests == []


def test_a_key_of_the_old_store(store, fetch, tmp_path, monkeypatch):
    (tmp_path / "oldrc").write_text(f"url: {store.server.base}/api\nkey: 12345:0ld-key-of-the-test\n")
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "oldrc"))
    status, said = fetch()
    assert status == 1 and "old climate data store" in said and "0ld-key" not in said


def test_a_file_of_another_box_does_not_pass(store, fetch, target):
    assert fetch()[0] == 0
    status, said = fetch("--bbox", "-6 37.8 -4.7 38")
    assert status == 1 and "another area" in said and target.exists() and len(store.requests) == 1
