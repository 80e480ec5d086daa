"""``fluxatlas export members``: the ensemble of a run as ONNX files with its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..evaluate_sites import check_output, member_paths
from ..files import atomic_all
from ..train.ensemble import check_ensemble
from .card import Ensemble, write_card
from .onnx_step import Exported, export_member

CARD = ("model_card.md", "model_card.json")


def export_members(folder: Path, output: Path) -> list[Exported]:
    """Write ``<member>.onnx`` for each member of the run in ``folder`` (or of its folder ``train``) and the model card.

    Nothing is written unless all can be. Raises :class:`InputError` where there are no members or one has changed, and
    as :func:`~fluxatlas.export.onnx_step.export_member`.
    """
    check_output(output)
    paths = members_of(folder)
    with atomic_all([*(output / f"{path.stem}.onnx" for path in paths), *(output / name for name in CARD)]) as partials:
        write_card(Ensemble.load(paths), *partials[-2:])
        return [export_member(path, partial) for path, partial in zip(paths, partials[:-2], strict=True)]


def export_card(folder: Path, output: Path) -> None:
    """Write the model card alone, of any cell."""
    check_output(output)
    ensemble = Ensemble.load(members_of(folder))
    with atomic_all([output / name for name in CARD]) as partials:
        write_card(ensemble, *partials)


def members_of(folder: Path) -> Sequence[Path]:
    """The member files of one run, checked against its list of members."""
    if not folder.exists():
        raise InputError("does not exist", where=str(folder), hint="give the folder of a run, such as results/demo")
    paths = member_paths([folder])
    check_ensemble(paths)
    return paths
