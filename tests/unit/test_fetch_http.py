"""`fluxatlas fetch` over HTTP: the real command against a server that misbehaves on purpose."""

import base64
import fcntl
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import fluxatlas.fetch.recipe as recipes
from fluxatlas import cli
from fluxatlas.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parents[1]))
from bad_server import BadServer, bad_server

IMPATIENT = json.dumps({"tries": 3, "pause": 0.01, "timeout": 0.4})
RECIPE = """
dataset: gridmet
route: http
file: "{variable}_{year}.nc"
url: BASE/{variable}_{year}.nc
per: year
step_hours: 24
CHECKSUM
variables:
  pr: {holds: [precipitation_amount]}
  vs: {holds: [wind_speed]}
"""
NAME = "/pr_2001.nc"


def daily(path: Path, name: str = "precipitation_amount", days: int = 365, value: float | None = None) -> bytes:
    """Bytes of a NetCDF file with `days` days of 2001; noise, so that it cannot be compressed away."""
    data = (
        np.random.default_rng(1).random((days, 8, 8), dtype=np.float32)
        if value is None
        else np.full((days, 8, 8), value)
    )
    times = np.datetime64("2001-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    coords = {"time": times, "lat": np.arange(8.0, 0, -1), "lon": np.arange(8.0)}
    xr.Dataset({name: (("time", "lat", "lon"), data)}, coords).to_netcdf(path, engine="netcdf4")
    return path.read_bytes()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return daily(tmp_path_factory.mktemp("made") / "made.nc")


@pytest.fixture
def server(good: bytes):
    with bad_server() as server:
        server.files[NAME] = good
        yield server


class Fetch:
    """The command line with a recipe that points at the server."""

    def __init__(self, server: BadServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.base, self.folder, self.capsys = server.base, folder, capsys
        self.target = folder / "out" / "pr_2001.nc"

    def __call__(self, *options: str, checksum: str = "", variables: tuple[str, ...] = ("pr",)) -> tuple[int, str]:
        """Exit status and what was printed to stderr."""
        recipe = self.folder / "recipe.yaml"
        line = f"checksum: {checksum}" if checksum else ""
        recipe.write_text(RECIPE.replace("BASE", self.base).replace("CHECKSUM", line))
        chosen = [part for name in variables for part in ("--variable", name)]
        arguments = ["fetch", str(recipe), "--output-dir", str(self.folder / "out"), "--years", "2001", *chosen]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["fluxatlas", *arguments, "--patience", IMPATIENT, *options])
            with pytest.raises(SystemExit) as end:
                cli.main()
        return int(end.value.code or 0), self.capsys.readouterr().err

    def fails(self, *options: str, **more: str) -> str:
        """The message of a fetch that fails: one, without a traceback, and nothing under the final name."""
        status, text = self(*options, **more)
        assert status == 1
        assert sum(line.startswith("error: ") for line in text.splitlines()) == 1 and "Traceback" not in text
        assert not self.target.exists()
        assert not self.target.with_name("pr_2001.nc.json").exists()
        return text

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir()) if self.target.parent.exists() else []


@pytest.fixture
def fetch(server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    return Fetch(server, tmp_path, capsys)


def test_a_file_arrives_whole_with_its_provenance(fetch, server, good):
    status, text = fetch()
    assert status == 0 and "1 files fetched" in text
    assert fetch.target.read_bytes() == good
    assert fetch.left == ["pr_2001.nc", "pr_2001.nc.json"]
    record = json.loads(fetch.target.with_name("pr_2001.nc.json").read_text())
    assert record["sha256"] == hashlib.sha256(good).hexdigest()
    assert record["source"] == server.base + NAME
    assert record["content"] == {
        "variables": ["precipitation_amount"], "steps": 365, "first": "2001-01-01", "last": "2001-12-31",
    }  # fmt: skip
    assert record["doi"] == "10.1002/joc.3413" and record["licence"]


def test_what_is_there_is_not_asked_for_again(fetch, server):
    fetch()
    asked = len(server.seen)
    status, text = fetch()
    assert status == 0 and "1 were there already" in text
    assert len(server.seen) == asked


def test_errors_that_pass_are_waited_for(fetch, server, good):
    server.plans[NAME].extend([503, 429])
    status, text = fetch()
    assert status == 0 and fetch.target.read_bytes() == good
    assert "503" in text and "429" in text


def test_a_cut_connection_is_continued_in_the_same_run(fetch, server, good):
    server.plans[NAME].extend(["cut:30000", "cut:20000"])
    status, _ = fetch()
    assert status == 0 and fetch.target.read_bytes() == good
    assert server.ranges(NAME) == ["", "bytes=30000-", "bytes=50000-"]


def test_a_silent_server_is_left_and_continued(fetch, server, good):
    server.plans[NAME].append("stall:40000")
    status, text = fetch()
    assert status == 0 and fetch.target.read_bytes() == good
    assert server.ranges(NAME) == ["", "bytes=40000-"]
    assert "broke after 40,000 bytes" in text


def test_what_was_received_is_continued_by_the_next_run(fetch, server, good):
    server.plans[NAME].extend(["cut:30000", 503, 503, 503])
    text = fetch.fails()
    assert "503" in text and "kept and continued" in text
    assert fetch.left == [".pr_2001.nc.part", ".pr_2001.nc.part.json"]
    server.seen.clear()
    server.plans[NAME].clear()
    assert fetch()[0] == 0
    assert server.ranges(NAME) == ["bytes=30000-"]
    assert fetch.target.read_bytes() == good and fetch.left == ["pr_2001.nc", "pr_2001.nc.json"]


def test_a_file_that_changed_meanwhile_is_started_again(fetch, server, good, tmp_path):
    server.plans[NAME].extend(["cut:30000", 503, 503, 503])
    fetch.fails()
    server.plans[NAME].clear()
    server.files[NAME] = newer = daily(tmp_path / "newer.nc", value=2.5)
    assert fetch()[0] == 0
    assert fetch.target.read_bytes() == newer


@pytest.mark.parametrize("validators", [True, False])
def test_a_server_that_ignores_ranges_does_not_spoil_the_file(fetch, server, good, validators):
    server.validators = validators
    server.plans[NAME].extend(["cut:30000", "no-range"])
    assert fetch()[0] == 0
    assert fetch.target.read_bytes() == good


def test_a_part_longer_than_the_file_is_started_again(fetch, server, good):
    server.plans[NAME].extend(["cut:30000", 503, 503, 503])
    fetch.fails()
    server.plans[NAME].clear()
    with (fetch.target.parent / ".pr_2001.nc.part").open("ab") as part:
        part.write(bytes(len(good)))
    assert fetch()[0] == 0
    assert fetch.target.read_bytes() == good


def test_a_server_that_never_recovers_is_given_up(fetch, server):
    server.plans[NAME].extend([503] * 10)
    assert "503" in fetch.fails() and len(server.seen) == 3
    assert fetch.left == []


def test_a_server_that_is_not_there(fetch):
    fetch.base = "http://127.0.0.1:9"
    assert "no connection" in fetch.fails()


@pytest.mark.parametrize(
    ("status", "word"), [(401, "credentials"), (403, "licence"), (404, "no such file"), (400, "check")]
)
def test_refusals_are_not_repeated(fetch, server, status, word):
    server.plans[NAME].extend([status] * 5)
    text = fetch.fails()
    assert str(status) in text and word in text and len(server.seen) == 1


def test_a_truncated_file_at_the_provider(fetch, server, good):
    server.files[NAME] = good[:-5000]
    assert "cannot be used" in fetch.fails()
    assert fetch.left == []


def test_a_log_in_form_instead_of_the_file(fetch, server):
    server.plans[NAME].append("page")
    assert "web page" in fetch.fails() and fetch.left == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "rain"}, "it holds rain, not precipitation_amount"),
        ({"days": 364}, "1 days are missing, the first 2001-12-31"),
        ({"value": float("nan")}, "holds no value at all"),
    ],
)
def test_a_file_with_other_content(fetch, server, tmp_path, change, words):
    server.files[NAME] = daily(tmp_path / "other.nc", **change)
    assert words in fetch.fails() and fetch.left == []


def test_checksums_that_the_provider_offers(fetch, server, good):
    server.files["/sums.txt"] = f"{'0' * 64}  vs_2001.nc\n{hashlib.sha256(good).hexdigest()} *pr_2001.nc\n".encode()
    assert fetch(checksum="BASE/sums.txt".replace("BASE", server.base))[0] == 0
    record = json.loads(fetch.target.with_name("pr_2001.nc.json").read_text())
    assert record["checksum"] == f"sha256:{hashlib.sha256(good).hexdigest()}"


def test_a_wrong_checksum(fetch, server, good):
    server.files["/pr_2001.nc.md5"] = b"0" * 32
    text = fetch.fails(checksum=server.base + "/{variable}_{year}.nc.md5")
    assert "md5" in text and "damaged" in text and fetch.left == []


def test_a_list_without_the_file(fetch, server):
    server.files["/sums.txt"] = f"{'0' * 64}  a.nc\n{'1' * 64}  b.nc\n".encode()
    assert "no checksum of pr_2001.nc" in fetch.fails(checksum=f"{server.base}/sums.txt")


@pytest.mark.parametrize("right", [True, False])
def test_a_checksum_in_the_headers(fetch, server, good, right):
    digest = hashlib.md5(good if right else b"").digest()
    server.headers[NAME] = {"Content-MD5": base64.b64encode(digest).decode()}
    if right:
        assert fetch()[0] == 0
    else:
        assert "md5" in fetch.fails() and fetch.left == []


def test_one_failure_does_not_stop_the_other_files(fetch, server, tmp_path):
    server.files["/vs_2001.nc"] = daily(tmp_path / "vs.nc", "wind_speed")
    server.plans[NAME].append(404)
    status, text = fetch(variables=("pr", "vs"))
    assert status == 1 and "1 files fetched" in text and "1 failed" in text
    assert (fetch.target.parent / "vs_2001.nc").exists() and not fetch.target.exists()


def test_two_processes_do_not_write_the_same_file(fetch):
    fetch.target.parent.mkdir()
    with (fetch.target.parent / ".pr_2001.nc.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in fetch.fails()


def test_a_folder_that_cannot_be_written(fetch):
    fetch.target.parent.write_text("a file where the folder should be")
    assert "cannot be written" in fetch.fails()


def test_a_dry_run_asks_nobody(fetch, server):
    assert fetch("--dry-run")[0] == 0
    assert server.seen == [] and fetch.left == []


def test_every_recipe_that_is_shipped_is_valid():
    from fluxatlas.fetch.datasets import datasets

    for name in recipes.names():
        row = datasets()[recipes.load_recipe(name).dataset]
        assert row["recipe"].split() and name in row["recipe"].split()


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'gridmet'"):
        recipes.load_recipe("gridmett")
