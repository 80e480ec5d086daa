"""Layouts that were published by mistake: they show their faults, and only experiments take them."""

from pathlib import Path

import pytest
import torch

from fluxatlas.config.experiments import ExperimentsBlock
from fluxatlas.config.model import parse
from fluxatlas.errors import ConfigError, MemberMismatchError
from fluxatlas.systems import get_system
from fluxatlas.train.ensemble import write_ensemble
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.networks.cells import make_cell
from fluxatlas.train.networks.sequence import SequenceCell, Sizes

WINDOW, FEATURES = 12, 6
FAULTY = ("faulty_tcn", "faulty_transformer")


def cell_of(name: str, layers: int = 2) -> SequenceCell:
    torch.manual_seed(3)
    return make_cell(name, Sizes(4, 2, 8, layers, window=WINDOW)).double().eval()


def series(days: int = 3 * WINDOW, cells: int = 5) -> torch.Tensor:
    return torch.randn(days, cells, FEATURES, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def run(cell: SequenceCell, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return cell(x)[0]


@pytest.mark.parametrize("name", FAULTY)
def test_they_have_the_interface_of_all_cells_and_learn(name: str) -> None:
    cell, x = cell_of(name), series(20)
    hidden, state = cell(x)
    assert hidden.shape == (20, 5, 8) and state.shape == (cell.state_shape[0], 5, cell.state_shape[1])
    hidden.square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in cell.parameters())


@pytest.mark.parametrize("name", ["transformer", "faulty_transformer"])
def test_only_with_the_faulty_attention_company_matters(name: str) -> None:
    """The same place in batches of other places, or alone."""
    cell, x = cell_of(name), series()
    other = torch.cat([x[:, :1], x[:, 1:] + 1.0], dim=1)
    for company in (other, x[:, :1]):
        differs = (run(cell, company)[:, 0] - run(cell, x)[:, 0]).abs().max() > 1e-3
        assert differs == (name == "faulty_transformer")


@pytest.mark.parametrize("name", ["transformer", "faulty_transformer"])
def test_the_faulty_attention_does_not_know_the_order_of_days(name: str) -> None:
    cell, x = cell_of(name), series(WINDOW)
    order = torch.randperm(WINDOW, generator=torch.Generator().manual_seed(1))
    same = torch.allclose(run(cell, x[order]), run(cell, x)[order], atol=1e-10)
    assert same == (name == "faulty_transformer")


@pytest.mark.parametrize("name", ["tcn", "faulty_tcn"])
def test_with_the_faulty_convolution_a_day_changes_earlier_ones(name: str) -> None:
    cell, x = cell_of(name), series(WINDOW)
    later = x.clone()
    later[-1] += 30.0
    earlier = (run(cell, later) - run(cell, x))[:-1].abs().max() > 1e-6
    assert earlier == (name == "faulty_tcn")


@pytest.mark.parametrize("name", ["tcn", "faulty_tcn"])
def test_the_faulty_convolution_is_not_the_same_on_all_days(name: str) -> None:
    """The same weather a day later gives the same values a day later, once the window is full."""
    cell, x = cell_of(name), series()
    shifted = run(cell, torch.cat([x[:1] * 0, x]))[1 + WINDOW : 1 + 2 * WINDOW]
    same = torch.allclose(shifted, run(cell, x)[WINDOW : 2 * WINDOW], atol=1e-9)
    assert same == (name == "tcn")


@pytest.mark.parametrize("name", FAULTY)
def test_only_experiments_take_them(name: str, tmp_path: Path) -> None:
    assert ExperimentsBlock(models=("gru", name)).models == ("gru", name)
    run = {
        "system": "wetland_methane",
        "period": {"start": 2001, "end": 2001},
        "forcing": {"source": "synthetic_earth"},
    }
    parse(run | {"experiments": {"models": [name]}})
    with pytest.raises(ConfigError, match=f"'{name}' has a layout that was published by mistake"):
        parse(run | {"train": {"cell": name}})
    member = faulty_member(name)
    with pytest.raises(MemberMismatchError, match="published by mistake and makes no product"):
        member.check(where="member.pt")
    path = tmp_path / "member.pt"
    member.save(path)
    with pytest.raises(MemberMismatchError, match="published by mistake"):
        write_ensemble([path], tmp_path / "ensemble.json")
    assert not (tmp_path / "ensemble.json").exists()


def faulty_member(name: str) -> Member:
    network = HierarchicalNetwork(get_system("wetland_methane"), Architecture(cell=name, hidden=4, window=5))
    return Member(network, "4km")
