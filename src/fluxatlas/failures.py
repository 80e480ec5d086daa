"""What a machine can do to a job, in one message each: a full disk, no permission, no memory, a killed worker.

These are not errors of the program, so that a traceback would tell nothing.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from .errors import FluxAtlasError, InputError, MemoryLimitError
from .hashes import check_seal

MORE_MEMORY = "give the job more memory (`mem_mb` of its rule), or fewer workers"
DISK = {
    errno.ENOSPC: ("the disk is full", "make room, then run the job again"),
    errno.EDQUOT: ("the quota of the disk is used up", "make room, then run the job again"),
    errno.EROFS: ("the file system can only be read", "choose another folder for `run.results`"),
    errno.EACCES: ("permission denied", "see who owns the file and its folder"),
    errno.EPERM: ("permission denied", "see who owns the file and its folder"),
    errno.EFBIG: ("the file may not become larger", "raise the limit of the size of files (`ulimit -f`)"),
    errno.EMFILE: ("too many open files", "raise the limit of open files (`ulimit -n`)"),
    errno.EIO: ("the disk cannot be read or written", "see the log of the machine"),
}
KILLED = ("BrokenProcessPool", "KilledWorker", "WorkerDied")


def explained(problem: BaseException, words: Sequence[str]) -> FluxAtlasError | None:
    """The message for ``problem`` of the command line ``words``; None where it is a bug of ours.

    HDF5 does not say what is wrong: of the NetCDF files among ``words`` the one whose checksum does not hold is named.
    """
    text = str(problem)
    if isinstance(problem, MemoryError) or getattr(problem, "errno", None) == errno.ENOMEM:
        return MemoryLimitError(f"memory ran out ({text or 'no more is given'})", hint=MORE_MEMORY)
    if type(problem).__name__ in KILLED:
        return MemoryLimitError(f"a worker was killed ({text})", hint=f"most likely memory ran out: {MORE_MEMORY}")
    if isinstance(problem, OSError) and problem.errno in DISK:
        what, hint = DISK[problem.errno]
        return FluxAtlasError(what, where=str(problem.filename or ""), hint=hint)
    if isinstance(problem, OSError | RuntimeError) and re.search(r"NetCDF: (HDF error|Filter error|Bad chunk)", text):
        try:
            for path in {word.partition("=")[2] or word for word in words if word.endswith(".nc")}:
                check_seal(path)
        except InputError as damaged:
            return damaged
        hint = f"the files that are read are whole: see whether the disk is full, else {MORE_MEMORY}"
        return FluxAtlasError(f"NetCDF cannot read or write a file ({text})", hint=hint)
    return None
