"""The ensemble: members that belong together, listed in one small file that inference depends on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, MemberMismatchError
from ..files import file_hash, write_text
from .member import Member, constraint_of


def check_ensemble(paths: Sequence[str | Path]) -> None:
    """Compare member files with the hashes of the ``ensemble.json`` of their training, where there is one.

    Raises :class:`InputError` for a member that has changed since, or is not listed.
    """
    for path in map(Path, paths):
        listed = path.parent.parent / "ensemble.json"
        if not listed.exists() or not path.exists():
            continue
        try:
            known = {Path(name).name: value for name, value in json.loads(listed.read_text("utf-8")).items()}
        except (ValueError, AttributeError) as problem:
            hint = f"delete it, then `snakemake {listed}` makes it again"
            raise InputError(f"is not a list of members ({problem})", where=str(listed), hint=hint) from None
        if known.get(path.name) != file_hash(path):
            hint = "train the member again, or list the members anew with `fluxatlas train ensemble`"
            raise InputError(f"the member is not the one that {listed} lists", where=str(path), hint=hint)


def write_ensemble(paths: Sequence[Path], output: Path) -> None:
    """Check that the members fit together and list them with their hashes in ``output`` (JSON).

    Raises :class:`MemberMismatchError` naming the member that is of another system or grid, reads other drivers, or was
    held to other sums of regions.
    """
    members = [Member.load(path) for path in paths]
    first = members[0]
    constraint_of(members, paths)
    for path, member in zip(paths, members, strict=True):
        member.check(system=first.system.key, grid=first.grid, units=first.drivers, where=str(path))
        if list(member.statics) != list(first.statics):
            raise MemberMismatchError(
                f"the member reads the statics {list(member.statics)}, the first one {list(first.statics)}",
                where=str(path),
                hint="train all members with the same version",
            )
    write_text(output, json.dumps({str(path): file_hash(path) for path in paths}, indent=1) + "\n")
