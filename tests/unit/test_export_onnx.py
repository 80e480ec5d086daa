"""ONNX files of members give what torch gives, day after day, and say what they are; what cannot be one is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toy_system
from fluxatlas import variables
from fluxatlas.cli import main
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.export import onnx_step
from fluxatlas.export.onnx_step import OnnxStep, export_member, plausible
from fluxatlas.infer.engine import TorchEngine
from fluxatlas.systems import SYSTEMS, get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

DAYS, CELLS = 400, 3
TOY = "toy_system:TOY"


def write_member(path: Path, system: str = TOY, **architecture: Any) -> Path:
    """A random member whose scaler knows the middle of the valid ranges."""
    rng = np.random.default_rng(0)
    torch.manual_seed(3)
    network = HierarchicalNetwork(get_system(system), Architecture(**{"hidden": 5, "window": 9, **architecture}))
    data = {}
    for name in network.scaler.names:
        low, high = variables.get(name).valid
        data[name] = rng.uniform(low + 0.3 * (high - low), low + 0.6 * (high - low), 200)
    network.scaler.fit(data)
    meta = {"version": "9.9", "commit": "abc", "span": ["2000-01-01", "2001-12-31"]}
    Member(network, "4km", None, meta).save(path)
    return path


def weather(network: HierarchicalNetwork) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Days that scatter, through seasons of fields with their harvest."""
    drivers, statics = plausible(network, DAYS, CELLS, seed=5)
    if "fieldday" in drivers:
        drivers["fieldday"] = np.repeat((np.arange(DAYS, dtype=np.float32) % 365 + 1)[:, None], CELLS, axis=1)
    return drivers, statics


CASES: dict[str, dict[str, Any]] = {
    **{name: {"system": name} for name in SYSTEMS},
    "toy gru": {"layers": 2},
    "toy lstm": {"cell": "lstm"},
    "toy ea_lstm": {"cell": "ea_lstm"},
    "toy tcn": {"cell": "tcn"},
    "told, not bound": {"code": 4},
    "other forms": {"system": "soil_methane_sink", "theta": {"moisture": 1.0, "temperature": 2.0, "diffusivity": 7.0}},
    "projection": {"system": "soil_moisture_energy", "head": "projection", "cell": "tcn"},
    "lumped": {"system": "wetland_methane", "head": "lumped", "cell": "lstm"},
    "soft": {"system": "crop_carbon", "head": "soft", "cell": "ea_lstm"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_what_torch_gives_over_many_days(case, tmp_path) -> None:
    """All outputs, within 1e-5 of their standard deviation, and the last state, of its size; for another number of
    cells than the network was recorded with, the state carried by the caller."""
    path = write_member(tmp_path / "0.pt", **CASES[case])
    found = export_member(path, tmp_path / "0.onnx")
    member = Member.load(path)
    drivers, statics = weather(member.network)
    step = OnnxStep(tmp_path / "0.onnx")
    mine = step.run(drivers, statics, None)
    wanted = TorchEngine(member).run(drivers, statics, None)
    assert step.gives[: len(member.system.fluxes)] == list(member.system.flux_names)
    assert mine[0].keys() == wanted[0].keys() and mine[1].keys() == wanted[1].keys()
    for name, right in wanted[0].items():
        assert mine[0][name].shape == right.shape == (DAYS, CELLS)
        departure = np.sqrt(np.mean((mine[0][name] - right.astype(float)) ** 2))
        resolution = np.spacing(np.abs(right).max())  # a temperature in kelvin has 3e-5 K in float32
        assert departure <= 1e-5 * right.std(dtype=float) + 0.5 * resolution, name
    for name, right in wanted[1].items():
        np.testing.assert_allclose(mine[1][name], right, rtol=1e-4, atol=1e-5 * np.abs(right).max())
    assert 0 <= found.departure < 1e-5


def test_the_file_says_what_it_takes_and_gives(tmp_path) -> None:
    found = export_member(write_member(tmp_path / "7.pt"), tmp_path / "7.onnx")
    step = OnnxStep(tmp_path / "7.onnx")
    assert list(step.takes) == ["tas", "rsds", "lai", "co2", "clay", "soc", "carbon_state"]
    assert step.takes["tas"] == ["cell"] and step.takes["carbon_state"] == [1, "cell", 5]
    about = step.about
    inputs, outputs = json.loads(about["inputs"]), json.loads(about["outputs"])
    assert inputs["tas"]["units"] == "K" and inputs["clay"]["kind"] == "static"
    assert inputs["carbon_state"]["kind"] == "state" and outputs["nee"]["units"] == variables.get("nee").units
    assert json.loads(about["sign"])["nee"] == variables.get("nee").long_name
    assert (about["member"], about["member_hash"]) == ("7", found.member_hash) and len(found.member_hash) == 16
    assert (about["system"], about["grid"], about["fluxatlas_version"]) == (TOY, "4km", "9.9")


def test_inputs_that_do_not_change_the_fluxes_are_not_asked_for(tmp_path) -> None:
    export_member(write_member(tmp_path / "0.pt", "wetland_methane"), tmp_path / "0.onnx")
    member = Member.load(tmp_path / "0.pt")
    assert set(member.drivers) - set(OnnxStep(tmp_path / "0.onnx").takes) == {"ch4", "ps"}


@pytest.mark.parametrize("cell", ["transformer", "itransformer"])
def test_a_cell_of_windows_is_refused(cell, tmp_path) -> None:
    path = write_member(tmp_path / "0.pt", cell=cell, hidden=4)
    with pytest.raises(ConfigError, match=f"the cell '{cell}' looks at a window of days and has no step"):
        export_member(path, tmp_path / "0.onnx")
    assert not (tmp_path / "0.onnx").exists()


def test_a_head_that_onnx_cannot_hold_is_named(tmp_path, monkeypatch) -> None:
    def head(known):
        return {"nee": torch.special.i0(known["reco"]) - known["gpp"]}

    path = write_member(tmp_path / "0.pt")
    monkeypatch.setitem(toy_system.PARTS.heads, "exchange", toy_system.Head(head, ("gpp", "reco"), ("nee",)))
    with pytest.raises(InputError, match=r"the head 'exchange' cannot be written as ONNX .*i0"):
        export_member(path, tmp_path / "0.onnx")


def test_a_file_that_gives_something_else_is_refused(tmp_path, monkeypatch) -> None:
    """The recording takes a number for granted that depends on the day."""

    def head(known):
        return {"nee": known["reco"] - known["gpp"] * float(known["tas"].mean() / 250)}

    path = write_member(tmp_path / "0.pt")
    monkeypatch.setitem(toy_system.PARTS.heads, "exchange", toy_system.Head(head, ("gpp", "reco"), ("nee",)))
    with pytest.raises(InputError, match="the exported network is not the member: 'nee' differs"):
        export_member(path, tmp_path / "0.onnx")


def test_what_is_lacking_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not an ONNX file"):
        OnnxStep(tmp_path / "no.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"the package 'onnx' is not installed") as caught:
        export_member(write_member(tmp_path / "0.pt"), tmp_path / "0.onnx")
    assert "fluxatlas[onnx]" in caught.value.hint
    assert onnx_step.OPSET == 17


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "export", *map(str, words)])
    try:
        main()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def test_the_command_writes_all_members_or_none(tmp_path, monkeypatch, capsys) -> None:
    for number in (0, 1):
        write_member(tmp_path / "run" / "train" / "members" / f"{number}.pt")
    assert call(monkeypatch, "members", tmp_path / "run", "--output", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.onnx")) == ["0.onnx", "1.onnx"]
    assert "1.onnx: within" in capsys.readouterr().out
    write_member(tmp_path / "run" / "train" / "members" / "1.pt", cell="transformer", hidden=4)
    assert call(monkeypatch, "members", tmp_path / "run" / "train", "--output", tmp_path / "second") == 1
    said = capsys.readouterr().err
    assert "the cell 'transformer' looks at a window" in said and "members/1.pt" in said
    assert not list((tmp_path / "second").glob("*"))
    assert call(monkeypatch, "members", tmp_path / "none", "--output", tmp_path / "second") == 1
    assert "does not exist" in capsys.readouterr().err
