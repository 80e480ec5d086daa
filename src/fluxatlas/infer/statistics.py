"""What the product says of an ensemble: its members by name of output, and the uncertainty of their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..systems import System
from ..train.member import Member
from ..train.networks.several import of_member

Array = npt.NDArray[np.float32]


def places_of(members: Sequence[Member], flux: str) -> Array:
    """(member, 2): a and b of the standard deviation ``a + b |flux|`` between places; 0 where a member has none."""
    lines = [member.meta.get("places", {}).get(flux, (0.0, 0.0)) for member in members]
    return np.array(lines, np.float32)


def several(outputs: Mapping[str, Array], system: System, members: int) -> dict[str, Array]:
    """Outputs of the product from those of a student of ``members``: fluxes (member, ...), the means of others
    (1, ...)."""
    fluxes = {name: [of_member(name, m) for m in range(members)] for name in system.flux_names}
    return {name: np.stack([outputs[own] for own in fluxes.get(name, [name])]) for name in system.outputs}


def uncertainty(values: Array, places: Array) -> Array:
    """Standard uncertainty of the mean over members of ``values`` (member, ...) at a place.

    The standard deviation over the members (n - 1), and what places differ by that are alike in all that is known:
    ``a + b |value|`` by ``places`` (member, 2). NaN for one member that does not know the latter.
    """
    line = places.reshape(len(values), 2, *[1] * (values.ndim - 1))
    between = ((line[:, 0] + line[:, 1] * np.abs(values)) ** 2).mean(axis=0)
    if len(values) > 1:
        between = between + values.var(axis=0, ddof=1)
    elif not places.any():
        return np.full(values.shape[1:], np.nan, np.float32)
    return np.sqrt(between).astype(np.float32)
