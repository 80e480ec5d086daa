"""Rings of polygons on the globe: made continuous across the date line and closed at a pole that they surround."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

Array = npt.NDArray[np.float64]
TINY = 1e-9


class AmbiguousEdgeError(ValueError):
    """An edge that may run either way around the globe."""


def unwrap(geometry: Any, *, projected: bool) -> tuple[Any, int, int]:
    """A multipolygon in degrees with continuous longitudes; how many rings jumped, and how many surround a pole.

    An edge over more than 180 degrees is a jump at the date line, unless it goes all the way along a parallel (a map's
    frame) or the pole. ``projected`` shapes were cut into short edges, so there every such edge is a jump. Holes are
    moved by whole turns to their shell. Raises :class:`AmbiguousEdgeError` for a long edge that can be meant both ways.
    """
    lon = shapely.get_coordinates(geometry)[:, 0]
    if lon.size == 0 or (not projected and np.abs(np.diff(lon)).max(initial=0.0) <= 180.0):
        return geometry, 0, 0
    polygons, turned, capped = [], 0, 0
    for polygon in shapely.get_parts(geometry):
        rings: list[Array] = []
        caps = 0
        for ring in shapely.get_rings(polygon):
            points, jumped, cap = _continuous(shapely.get_coordinates(ring), projected)
            turned, caps = turned + jumped, caps + cap
            if len(points) >= 4:
                rings.append(_beside(points, rings[0] if rings else points))
        if caps:
            polygons += _around_a_pole(rings)
        elif rings:
            polygons.append(shapely.Polygon(rings[0], rings[1:]))
        capped += caps
    return shapely.multipolygons(polygons), turned, capped


def _continuous(points: Array, projected: bool) -> tuple[Array, bool, bool]:
    """A closed ring (n, 2) without jumps; whether it had any; whether it was closed at a pole."""
    if projected:
        points = _pole_as_line(points)
    lon, lat = points.T
    step = np.diff(lon)
    along = (np.abs(np.diff(lat)) < TINY) & (np.abs(np.abs(step) - 360.0) < TINY)
    at_pole = (90.0 - np.abs(lat[1:]) < TINY) & (90.0 - np.abs(lat[:-1]) < TINY)
    jump = (np.abs(step) > 180.0) & (projected | ~(at_pole | along))
    if not jump.any():
        return points, False, False
    if not projected:
        _check(lon, lat, jump)
    step = np.where(jump, step - 360.0 * np.sign(step), step)
    lon = np.concatenate([lon[:1], lon[0] + np.cumsum(step)])
    points = np.column_stack([lon, lat])
    if abs(lon[-1] - lon[0]) < 180.0:
        points[-1] = points[0]
        return points, True, False
    pole = 90.0 if lat.mean() > 0 else -90.0
    return np.vstack([points, [lon[-1], pole], [lon[0], pole], points[:1]]), True, True


def _check(lon: Array, lat: Array, jump: npt.NDArray[np.bool_]) -> None:
    """Raise :class:`AmbiguousEdgeError` where a jump is level, as in a box wider than half the globe."""
    level = jump & (np.abs(np.diff(lat)) < TINY) & (np.abs(np.abs(np.diff(lon)) - 360.0) > TINY)
    if level.any():
        k = int(np.argmax(level))
        raise AmbiguousEdgeError(
            f"has an edge from {lon[k]:g} E to {lon[k + 1]:g} E at {lat[k]:g} N: either way is possible"
        )


def _pole_as_line(points: Array) -> Array:
    """Each vertex at a pole, where longitude means nothing, as two with the longitudes of its neighbours."""
    at_pole = 90.0 - np.abs(points[:, 1]) < 1e-7
    if not at_pole.any() or at_pole.all():
        return points
    ring = points[:-1] if np.array_equal(points[0], points[-1]) else points
    start = int(np.argmin(90.0 - np.abs(ring[:, 1]) < 1e-7))
    ring = np.roll(ring, -start, axis=0)  # so that it begins away from the pole
    found: list[Array] = []
    for k, point in enumerate(ring):
        if 90.0 - abs(point[1]) >= 1e-7:
            found.append(point)
            continue
        before, after = found[-1][0], ring[(k + 1) % len(ring)][0]
        found += [np.array([before, point[1]]), np.array([after, point[1]])]
    return np.vstack([*found, found[0]])


def _around_a_pole(rings: list[Array]) -> list[Any]:
    """Polygons of rings of which some go around the globe, each cut at the same meridian so that holes fit shells."""
    globe = shapely.box(-180.0, -90.0, 180.0, 90.0)
    pieces = []
    for ring in rings:
        whole = shapely.make_valid(shapely.Polygon(ring))
        turns = [shapely.transform(whole, lambda xy, t=turn: xy + np.array([t, 0.0])) for turn in (-360.0, 0.0, 360.0)]
        pieces.append(shapely.union_all([shapely.intersection(turn, globe) for turn in turns]))
    parts = shapely.get_parts(shapely.difference(pieces[0], shapely.union_all(pieces[1:])))
    return [part for part in parts if part.geom_type == "Polygon"]


def _beside(points: Array, shell: Array) -> Array:
    """``points`` moved by whole turns so that they lie where ``shell`` does."""
    middle = 0.5 * (shell[:, 0].min() + shell[:, 0].max())
    turns = np.round((middle - 0.5 * (points[:, 0].min() + points[:, 0].max())) / 360.0)
    return points + np.array([360.0 * turns, 0.0]) if turns else points
