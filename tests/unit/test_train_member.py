"""The member file: round trip, what it holds, and every mismatch it names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import train_toy as toy
from fluxatlas.errors import InputError, MemberMismatchError
from fluxatlas.train.applicability import Applicability
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork


@pytest.fixture(scope="module")
def member() -> Member:
    data = toy.samples(n=3, days=40)
    torch.manual_seed(1)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4, cell="lstm"))
    network.scaler.fit(data.values())
    rng = np.random.default_rng(0)
    library = Applicability.of_library(rng.normal(size=(50, 3)), 1, ("a", "b", "c"))
    index = library.with_sites(rng.normal(size=(20, 3)), np.arange(20), [1, 2, 0.5])
    return Member(network, "4km", index, {"span": ["2000-01-01", "2000-02-09"], "inputs": {"samples": "ab12"}})


def test_round_trip_gives_the_same_predictions(member, tmp_path) -> None:
    member.save(tmp_path / "0.pt")
    content = torch.load(tmp_path / "0.pt", weights_only=True)
    assert content["drivers"]["tas"] == "K" and content["grid"] == "4km"
    read = Member.load(tmp_path / "0.pt")
    data = toy.samples(n=3, days=40)
    batch = data.batch(data.windows(40), 0)
    with torch.no_grad():
        first, second = (m.network.eval()(batch.drivers, batch.statics)[0] for m in (member, read))
    assert all(torch.equal(first[name], second[name]) for name in first)
    points = np.random.default_rng(1).normal(size=(5, 3))
    for one, two in zip(read.applicability.judge(points), member.applicability.judge(points), strict=True):
        np.testing.assert_array_equal(one, two)
    assert read.meta == member.meta and read.applicability.names == ("a", "b", "c")
    assert read.network.architecture == member.network.architecture


def test_the_same_member_is_the_same_bytes_under_any_name(member, tmp_path) -> None:
    member.save(tmp_path / "0.pt")
    member.save(tmp_path / "another" / "1.pt")
    assert (tmp_path / "0.pt").read_bytes() == (tmp_path / "another" / "1.pt").read_bytes()


def test_what_fits_passes(member) -> None:
    member.check(system="soil_methane_sink", units={**member.drivers, "hurs": "%"}, grid="4km")


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"system": "crop_carbon"}, "the member is of system 'soil_methane_sink', not 'crop_carbon'"),
        ({"grid": "1km"}, "the member was trained for grid '4km', not '1km'"),
        ({"units": {"tas": "degC"}}, "driver 'tas' is in 'degC', the member reads 'K'"),
        ({"units": {"pr": None}}, r"driver 'pr' \[kg m-2 s-1\] is absent"),
    ],
)
def test_each_mismatch_is_named(member, difference, message) -> None:
    if "units" in difference:
        merged = {**member.drivers, **difference["units"]}
        difference = {"units": {name: unit for name, unit in merged.items() if unit is not None}}
    with pytest.raises(MemberMismatchError, match=message):
        member.check(**difference)


def test_all_mismatches_are_named_at_once(member) -> None:
    with pytest.raises(MemberMismatchError) as caught:
        member.check(system="x", grid="y", units={})
    assert str(caught.value).count("is absent") == len(member.drivers)
    assert "'x'" in str(caught.value) and "'y'" in str(caught.value)


def test_a_changed_declaration_is_named(member, tmp_path) -> None:
    member.save(tmp_path / "0.pt")
    content = torch.load(tmp_path / "0.pt", weights_only=True)
    content["drivers"]["tas"] = "degC"
    content["statics"] = content["statics"][::-1]
    torch.save(content, tmp_path / "0.pt")
    with pytest.raises(
        MemberMismatchError, match=r"has changed since the member was trained: drivers were.*statics were"
    ):
        Member.load(tmp_path / "0.pt")


def test_weights_of_another_shape_are_named(member, tmp_path) -> None:
    """As where a sub-module is told more parameters than when the member was trained."""
    member.save(tmp_path / "0.pt")
    content = torch.load(tmp_path / "0.pt", weights_only=True)
    name = next(key for key, value in content["weights"].items() if value.ndim == 2)
    content["weights"][name] = content["weights"][name][:, :-1]
    torch.save(content, tmp_path / "0.pt")
    with pytest.raises(MemberMismatchError, match="the weights do not fit system"):
        Member.load(tmp_path / "0.pt")


def test_bad_files_are_refused(member, tmp_path) -> None:
    with pytest.raises(InputError, match="file not found"):
        Member.load(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("not a member")
    with pytest.raises(InputError, match="not a member file"):
        Member.load(tmp_path / "text.pt")
    torch.save({"format": 99}, tmp_path / "new.pt")
    with pytest.raises(InputError, match="member format 99, not 4"):
        Member.load(tmp_path / "new.pt")
