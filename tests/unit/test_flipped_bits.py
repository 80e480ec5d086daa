"""One flipped bit in a file between stages is found by its reader, or changes nothing."""

import errno
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import infer_world as world
from fluxatlas import files
from fluxatlas.config.infer import InferBlock
from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import FluxAtlasError, InputError, MemoryLimitError
from fluxatlas.failures import DISK, explained
from fluxatlas.grid import get_grid
from fluxatlas.hashes import SEAL, check_seal
from fluxatlas.infer.state import StateStore, read_state
from fluxatlas.infer.tile import check_members, run_tile
from fluxatlas.products.daily import write_daily
from fluxatlas.synthesize.samples_file import Samples, SamplesFile
from fluxatlas.systems import get_system
from fluxatlas.theta import Theta
from fluxatlas.tiles.cells import read_cells
from fluxatlas.tiles.piece import read_piece
from fluxatlas.train.ensemble import write_ensemble
from fluxatlas.train.member import Member

TILE = get_grid("0.5deg").tile("N38W124", 2)
TRIALS = 100
ZSTD = ProductsBlock(compression="zstd")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind that a run hands from stage to stage."""
    folder = tmp_path_factory.mktemp("made")
    layers = files.read_netcdf(world.write_attributes(folder / "attributes.nc", TILE))
    layers = layers.assign(areacella=layers["orog"] * 0 + 2e9, uplandFrac=layers["orog"] * 0 + 90)
    files.write_netcdf(layers, attributes := folder / "attributes.nc", attrs={"weight": "areacella uplandFrac"})
    piece = world.write_piece(folder / "piece.nc", TILE, 2001)
    members = [world.write_member(folder / name, 1, grid="0.5deg") for name in ("member.pt", "other.pt")]
    given = {"forcing": piece, "attributes": attributes, "members": members, "output": folder / "flux.nc"}
    run_tile(TILE, state_out=folder / "state.nc", settings=InferBlock(engine="torch"), **given)
    write_daily(folder / "daily.nc", "fch4", 2001, [folder / "flux.nc"], [attributes], ZSTD, system="soil_methane_sink")
    times = pd.date_range("2001-01-01", periods=40)
    rows = {"site": "a", "time": times, "variable": "fch4", "value": np.linspace(-2, 0, 40), "sd": 0.1}
    files.write_parquet(pd.DataFrame(rows), folder / "observations.parquet", {"fluxatlas_stage": "ingest sites"})
    _samples(folder / "samples.nc")
    return folder


def _samples(path: Path) -> None:
    rng, system, days, n = np.random.default_rng(1), world.SYSTEM, 30, 4
    names = (*system.forcing, *system.slow_drivers, *system.simulated)
    theta = Theta({"q10": rng.random(n)}, {})
    samples = Samples(
        pd.Timestamp("2001-01-01"), rng.random(n), rng.random(n), np.arange(n),
        {name: rng.random((days, n)) for name in names}, {name: rng.random(n) for name in system.statics}, theta,
    )  # fmt: skip
    with SamplesFile(path, system, days) as file:
        file.append(samples)
        file.finish({})


def _values(data: xr.Dataset | pd.DataFrame) -> list[Any]:
    if isinstance(data, pd.DataFrame):
        return [data.to_numpy().tolist(), [str(kind) for kind in data.dtypes]]
    return [data.attrs, *((n, v.dims, v.attrs, v.dtype, v.to_numpy().tobytes()) for n, v in data.variables.items())]


def _weights(path: Path) -> list[Any]:
    member = check_members([str(path)], "0.5deg")[0]
    return [{name: values.numpy().tobytes() for name, values in member.network.state_dict().items()}, member.meta]


def _piece(path: Path) -> list[Any]:
    piece = read_piece(path, world.SYSTEM.forcing)
    return [piece.orog.tobytes(), *(values.tobytes() for values in piece.data.values())]


KINDS: dict[str, Callable[[Path], list[Any]]] = {
    "piece.nc": _piece,
    "flux.nc": lambda path: _values(files.read_netcdf(path)),
    "state.nc": lambda path: _values(files.read_netcdf(path)),
    "samples.nc": lambda path: _values(files.read_netcdf(path)),
    "attributes.nc": lambda path: _values(files.read_netcdf(path)),
    "daily.nc": lambda path: _values(files.read_netcdf(path)),
    "observations.parquet": lambda path: _values(files.read_parquet(path)),
    "member.pt": _weights,
}


def _flips(content: bytes, name: str) -> Iterator[bytes]:
    """``content`` with one bit turned: at random places, and in the checksum."""
    rng, size = np.random.default_rng(sum(map(ord, name))), 8 * len(content)
    own = 8 * content.rfind(SEAL[:16])
    for place in [*rng.integers(0, size, TRIALS), *range(own, own + 8 * len(SEAL), 17)]:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << (place % 8)
        yield bytes(changed)


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_is_found_or_changes_nothing(made: Path, tmp_path: Path, name: str) -> None:
    content, path = (made / name).read_bytes(), tmp_path / name
    path.write_bytes(content)
    whole, found = repr(KINDS[name](path)), 0
    for number, changed in enumerate(_flips(content, name)):
        path.write_bytes(changed)
        try:
            assert repr(KINDS[name](path)) == whole
        except FluxAtlasError as problem:
            assert problem.where == str(path) and "delete it" in problem.hint and "snakemake" in problem.hint
            found += number < TRIALS
    assert found >= TRIALS - 1, "only the words before the checksum may change without a message"


def test_files_without_a_checksum_are_read_as_before(made: Path, tmp_path: Path) -> None:
    for name in ("piece.nc", "flux.nc", "state.nc", "member.pt"):
        content = (made / name).read_bytes()
        assert content[-len(SEAL) :].startswith(SEAL[:16]) and check_seal(made / name)
        (tmp_path / name).write_bytes(content[: -len(SEAL)])
        assert not check_seal(tmp_path / name)
        assert repr(KINDS[name](tmp_path / name)) == repr(KINDS[name](made / name))
    pd.read_parquet(made / "observations.parquet").to_parquet(tmp_path / "observations.parquet")
    assert len(files.read_parquet(tmp_path / "observations.parquet")) == 40
    assert pd.read_parquet(made / "observations.parquet").equals(files.read_parquet(made / "observations.parquet"))


def test_chunks_of_large_files_have_checksums_of_their_own(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGE", 0)
    for name, variable in (("flux.nc", "fch4"), ("daily.nc", "fch4"), ("samples.nc", "tas")):
        with netCDF4.Dataset(made / name) as file:
            assert file[variable].filters()["fletcher32"]
        content, path = (made / name).read_bytes(), tmp_path / name
        frames = [match.start() for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), content)]
        longest = max(range(1, len(frames)), key=lambda k: frames[k] - frames[k - 1])
        whole, found = repr(KINDS[name](made / name)), 0
        for place in range(frames[longest - 1] + 20, frames[longest - 1] + 220, 20):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            try:
                with files.open_netcdf(path) as data:
                    assert repr(_values(data.load())) == whole
            except (OSError, RuntimeError, InputError) as problem:
                said = explained(problem, ["products", f"--flux={made / 'piece.nc'}", f"--flux={path}"])
                said = said or problem  # found where the file was opened
                assert isinstance(said, InputError) and said.where == str(path)
                found += 1
        assert found >= 5, name


def test_a_member_is_that_of_its_ensemble(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "train" / "members" / "1.pt"
    Member.load(made / "member.pt").save(path)
    write_ensemble([path], tmp_path / "train" / "ensemble.json")
    assert len(check_members([str(path)], "0.5deg")) == 1
    member = Member.load(path)
    with torch.no_grad():
        next(member.network.parameters()).view(-1)[0] += 1e-3
    member.save(path)
    with pytest.raises(InputError, match=r"the member is not the one that .*ensemble\.json lists"):
        check_members([str(path)], "0.5deg")
    (tmp_path / "train" / "ensemble.json").write_text("{")
    with pytest.raises(InputError, match="is not a list of members"):
        check_members([str(path)], "0.5deg")


def test_a_state_that_was_flipped_starts_no_year(made: Path, tmp_path: Path) -> None:
    content = bytearray((made / "state.nc").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "state.nc").write_bytes(content)
    cells = read_cells(made / "attributes.nc", TILE, get_system("soil_methane_sink"))
    with pytest.raises(
        InputError, match=r"its checksum does not hold\n.*state\.nc\n.*`snakemake .*state\.nc` makes it"
    ):
        read_state(tmp_path / "state.nc", cells, [], pd.Timestamp("2002-01-01"), StateStore(str(tmp_path), 0, ()))


@pytest.mark.parametrize(
    ("problem", "kind", "message"),
    [
        *(
            (OSError(code, "x", "a/b.nc"), FluxAtlasError, f"{what}\n  where: a/b.nc")
            for code, (what, _) in DISK.items()
        ),
        (MemoryError("Unable to allocate 3 GiB"), MemoryLimitError, r"memory ran out \(Unable to allocate 3 GiB\)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryLimitError, "memory ran out"),
        (type("KilledWorker", (Exception,), {})("block-1"), MemoryLimitError, "a worker was killed"),
        (RuntimeError("NetCDF: HDF error"), FluxAtlasError, "see whether the disk is full"),
    ],
)
def test_what_a_machine_does_is_one_message(problem: Exception, kind: type[FluxAtlasError], message: str) -> None:
    said = explained(problem, ["infer", "tile", "--forcing", "gone.nc"])
    assert type(said) is kind and said.hint
    with pytest.raises(kind, match=message):
        raise said


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    for problem in (KeyError("x"), RuntimeError("shape"), OSError("short write"), ValueError("NetCDF: HDF error")):
        assert explained(problem, []) is None


@pytest.mark.parametrize("raised", [MemoryError("no room"), OSError(-61, "NetCDF: Memory allocation (malloc) failure")])
def test_memory_that_ran_out_is_not_a_truncated_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(xr.Dataset, "load", fail)
    with pytest.raises(MemoryLimitError, match="memory ran out while the file was read"):
        files.read_netcdf(made / "flux.nc")
    monkeypatch.setattr(xr.Dataset, "load", lambda _: (_ for _ in ()).throw(RuntimeError("NetCDF: HDF error")))
    with pytest.raises(InputError, match="the file is whole, so that memory or the disk is at fault"):
        files.read_netcdf(made / "flux.nc")
    (tmp_path / "old.nc").write_bytes((made / "flux.nc").read_bytes()[: -len(SEAL)])
    with pytest.raises(InputError, match="probably truncated, else memory ran out: delete it"):
        files.read_netcdf(tmp_path / "old.nc")
