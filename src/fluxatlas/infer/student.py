"""The student of an ensemble: its file, whether it may stand in for the members, and the engine that runs it.

A student file is a member file whose network imitates several members (:mod:`fluxatlas.train.networks.several`). It
holds the hashes of the members that it was made from and what was measured at places held out. Inference runs it only
where it was accepted, otherwise the members.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..config.infer import InferBlock
from ..errors import ConfigError, InputError, MemberMismatchError
from ..train.data import read_samples
from ..train.ensemble import check_ensemble
from ..train.member import Member
from . import distil
from .engine import make_engine


def make_student(
    members: Sequence[str | Path],
    samples: str | Path,
    output: str | Path,
    errors: str | Path,
    settings: InferBlock,
    checkpoint: str | Path | None = None,
) -> bool:
    """Distil a student of ``members`` from ``samples``, try it at the places held out, and write it with its
    ``errors`` (CSV); returns whether it is accepted.

    One that is not is written too: it says so, and inference runs the members. Raises :class:`ConfigError` for fewer
    than two members, :class:`InputError` where the samples are all of one spatial block.
    """
    paths = [str(path) for path in members]
    if len(paths) < 2:
        hint = "train two members or more, or set infer.ensemble: exact"
        raise ConfigError("one member has no spread that a student could learn", hint=hint)
    check_ensemble(paths)
    loaded, hashes = [Member.load(path) for path in paths], [files.file_hash(path) for path in paths]
    lesson = distil.prepare(loaded, read_samples(samples, loaded[0].system), settings.student_seed)
    if lesson.learns.all():
        hint = "make synthesize.block_degrees smaller, or set infer.ensemble: exact"
        raise InputError("all samples are of one spatial block: none can be held out", where=str(samples), hint=hint)
    student = distil.untaught(loaded, settings.student_seed)
    signature = files.settings_hash([hashes, files.file_hash(samples), settings.student_steps, settings.student_seed])
    kept = Path(checkpoint) if checkpoint else None
    distil.teach(student, lesson, settings.student_steps, settings.student_seed, kept, signature)
    made = Member(student, loaded[0].grid)
    table = distil.judge(make_engine("auto", made), loaded, lesson)
    accepted = distil.is_accepted(table)
    made.meta = {
        "stage": "distil",
        "members": hashes,
        "accepted": accepted,
        "errors": [{str(key): value for key, value in row.items()} for row in table.to_dict("records")],
        "places": int(table["places"].min()),
        "settings": {"steps": settings.student_steps, "seed": settings.student_seed},
        "commit": files.commit(),
    }
    files.write_text(Path(errors), table.to_csv(index=False))
    made.save(output)
    print(_said(made.meta), file=sys.stderr)
    return accepted


@dataclass(frozen=True)
class Student:
    """An accepted student: its file, network and what products say of it."""

    path: str
    member: Member

    @property
    def count(self) -> int:
        """Number of members it imitates."""
        return self.member.network.architecture.members

    @property
    def note(self) -> str:
        return _said(self.member.meta)


def read_student(path: str | Path | None, hashes: Sequence[str]) -> Student | None:
    """The student at ``path`` of the members with ``hashes``; None, with a message, for one that was not accepted.

    Raises :class:`MemberMismatchError` for a file that is not a student, or one of other members.
    """
    if not path:
        return None
    member, where = Member.load(path), str(path)
    if not member.network.architecture.members:
        raise MemberMismatchError("the file is a member, not a student", where=where, hint="give it as --member")
    if member.meta["members"] != list(hashes):
        raise MemberMismatchError(
            "the student was made from other members, or from these in another order",
            where=where,
            hint="make it again (`fluxatlas infer student`), or set infer.ensemble: exact",
        )
    if not member.meta["accepted"]:
        print(f"note: {_said(member.meta)}", file=sys.stderr)
        return None
    return Student(where, member)


def _said(meta: Mapping[str, Any]) -> str:
    """One or two sentences: what was measured, and what follows."""
    worst = max(meta["errors"], key=lambda row: math.inf if math.isnan(row["ratio_95"]) else row["ratio_95"])
    share, most = f"{100 * distil.SHARE:.0f} %", f"{100 * worst['ratio_95']:.1f} %"
    members, allowed = len(meta["members"]), f"{100 * distil.LIMIT:.0f} %"
    measured = (
        f"of {meta['places']} places held out, {share} have an error of at most {most} of the width of the 90 % "
        f"interval in '{worst['variable']}' ({worst['what']}), where it is largest"
    )
    if meta["accepted"]:
        return (
            f"Values are those of a student network that imitates {members} members: {measured} (allowed: {allowed})."
        )
    return (
        f"the student was not accepted: {measured}; allowed are {allowed}. The {members} members run instead. More "
        "infer.student_steps may help; infer.ensemble: exact does without a student."
    )
