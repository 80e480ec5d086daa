"""What a training sequence must be long enough for; imports nothing heavy, since a run is checked before it starts."""

from __future__ import annotations

from ..errors import ConfigError


def refuse_length(longest: int, sequence_days: int) -> None:
    """Raise :class:`ConfigError` where the ``longest`` period [d] is not shorter than a training sequence."""
    if longest >= sequence_days:
        raise ConfigError(
            f"a flux is known as a mean over {longest} days, and a training sequence has {sequence_days}",
            where="train.sequence_days",
            hint=f"set it above {longest}, better to twice that, or leave the files of such means out of sites.entries",
        )
