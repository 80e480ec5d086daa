"""Time of inference, estimated from a calibration. Imports nothing heavy: ``plan`` uses it too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import files
from ..errors import InputError


@dataclass(frozen=True)
class Calibration:
    """What one core does: cell-days per second of one member (network) and of the rest (regridding, packing, writing).

    ``hidden`` is the width the network was measured with; ``start`` seconds pass before the first cell of a job. The
    defaults were measured on a tile of 11520 cells, three members: 215,000 cell-days per second in all (91 % network,
    4 % regridding, 3 % packing and reading, 2 % writing).
    """

    network: float = 700_000.0
    rest: float = 2_700_000.0
    hidden: int = 32
    start: float = 5.0
    machine: str = "default: one core of a 2026 cloud machine with AVX-512"

    def save(self, path: str | Path) -> None:
        files.write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what ``fluxatlas infer calibrate`` wrote; raises :class:`InputError` for anything else."""
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, TypeError, json.JSONDecodeError) as problem:
            hint = "make it with `fluxatlas infer calibrate`"
            raise InputError(f"not a calibration ({problem})", where=str(path), hint=hint) from problem


def estimate_seconds(
    land_cells: int,
    days: int = 365,
    *,
    members: int = 3,
    hidden: int = 32,
    workers: int = 1,
    calibration: Calibration | None = None,
) -> float:
    """Wall seconds of a job over ``land_cells`` and ``days`` on ``workers`` idle cores.

    The network's time grows linearly with its width (measured: 1.94 times from 32 to 64; wider ones grow faster).
    """
    known = calibration or Calibration()
    width = hidden / known.hidden
    per_cell_day = members * width / known.network + 1 / known.rest
    return known.start + land_cells * days * per_cell_day / workers
