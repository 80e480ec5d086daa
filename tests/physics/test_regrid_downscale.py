"""Downscaling by altitude against the standard atmosphere, hydrostatic balance and saturation."""

import numpy as np
import pytest

from fluxatlas.errors import GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid import TileRegridder, downscale

GRID = get_grid("4km")
TILE = GRID.tile("N36W008", 1)
LAT, LON = 37.25 - 0.25 * np.arange(8), -8.25 + 0.25 * np.arange(8)
FORCING = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")


def _column(lift: np.ndarray, **values: float) -> dict[str, np.ndarray]:
    base = {"tas": 288.15, "tasmin": 283.0, "tasmax": 294.0, "pr": 3e-5, "rsds": 210.0}
    base |= {"rlds": 330.0, "huss": 0.006, "ps": 101325.0, "sfcWind": 3.0} | values
    return downscale({name: np.full((2, len(lift)), value, np.float32) for name, value in base.items()}, lift)


def test_pressure_and_temperature_follow_the_standard_atmosphere() -> None:
    """ISO 2533: p = 101325 (1 - 0.0065 z / 288.15) ** 5.25588; the mean of two temperatures is our only shortcut."""
    lift = np.array([-400.0, 0.0, 300.0, 1000.0, 2500.0])
    out = _column(lift)
    exact = 101325.0 * (1 - 0.0065 * lift / 288.15) ** 5.25588
    np.testing.assert_allclose(out["ps"][0], exact, rtol=4e-4)
    np.testing.assert_allclose(out["ps"][0, :4], exact[:4], rtol=5e-5)
    np.testing.assert_allclose(out["tas"][0], 288.15 - 0.0065 * lift, rtol=1e-6)


def test_pressure_is_in_hydrostatic_balance_with_the_air_between() -> None:
    """dp/dz = -rho g, with the density of dry air halfway (central difference over 20 m)."""
    out = _column(np.array([990.0, 1010.0]))
    density = out["ps"][0].mean() / (287.05 * out["tas"][0].mean())
    assert np.diff(out["ps"][0])[0] / 20 == pytest.approx(-9.80665 * density, rel=2e-3)


def test_all_temperatures_move_alike_so_their_order_is_kept() -> None:
    out = _column(np.array([-700.0, 1800.0]))
    for name, value in (("tasmin", 283.0), ("tas", 288.15), ("tasmax", 294.0)):
        np.testing.assert_allclose(out[name][0], value - 0.0065 * np.array([-700.0, 1800.0]), rtol=1e-6)


def test_longwave_keeps_the_emissivity_of_the_air() -> None:
    out = _column(np.array([0.0, 1500.0]))
    emissivity = out["rlds"][0].astype(float) / (5.670374e-8 * out["tas"][0].astype(float) ** 4)
    assert emissivity[1] == pytest.approx(emissivity[0], rel=1e-6)


def test_lifted_air_saturates_but_drier_air_keeps_its_humidity() -> None:
    """Second opinion: the Magnus formula of Alduchov & Eskridge (1996).

    doi:10.1175/1520-0450(1996)035<0601:IMFAOS>2.0.CO;2
    """
    lift = np.array([0.0, 200.0, 3000.0])
    out = _column(lift, huss=0.009)
    celsius = out["tas"][0].astype(float) - 273.15
    pressure = out["ps"][0].astype(float)
    vapour = 610.94 * np.exp(17.625 * celsius / (celsius + 243.04))
    saturated = 0.622 * vapour / (pressure - 0.378 * vapour)
    np.testing.assert_allclose(out["huss"][0, :2], 0.009, rtol=1e-6)
    assert out["huss"][0, 2] == pytest.approx(saturated[2], rel=5e-3)
    assert saturated[2] < 0.009 < saturated[1]


def test_what_does_not_depend_on_altitude_stays() -> None:
    out = _column(np.array([-300.0, 900.0]))
    for name, value in (("pr", 3e-5), ("rsds", 210.0), ("sfcWind", 3.0)):
        np.testing.assert_array_equal(out[name], np.float32(value))


def test_longwave_without_temperature_is_refused() -> None:
    with pytest.raises(InputError, match="ps, rlds cannot be adjusted to another altitude"):
        downscale({"ps": np.ones((1, 1)), "rlds": np.ones((1, 1))}, np.zeros(1))


def test_a_source_with_the_lapse_rate_gives_the_same_sea_level_temperature_everywhere() -> None:
    """Temperature built as 290 K - 6.5 K/km on the source must come back so on the target, whatever the terrain."""
    rng = np.random.default_rng(3)
    source_orog = rng.uniform(0, 3000, (8, 8))
    target_orog = rng.uniform(0, 3000, TILE.shape)
    forcing = {"tas": (290 - 0.0065 * source_orog)[None].astype(np.float32)}
    for method in ("bilinear", "conservative"):
        regridder = TileRegridder(LAT, LON, TILE, method=method, source_orog=source_orog, target_orog=target_orog)
        out = regridder.downscale(forcing, np.arange(24 * 24))["tas"][0]
        np.testing.assert_allclose(out, 290 - 0.0065 * target_orog.ravel(), atol=2e-4)


def test_precipitation_follows_a_climatology_and_nothing_else_does() -> None:
    ratio = np.linspace(0.5, 1.8, 24 * 24).reshape(TILE.shape)
    forcing = {name: np.full((2, 8, 8), 1.0, np.float32) for name in FORCING}
    out = TileRegridder(LAT, LON, TILE, precipitation_ratio=ratio).downscale(forcing, np.array([5, 300]))
    np.testing.assert_allclose(out["pr"], np.tile(ratio.ravel()[[5, 300]], (2, 1)), rtol=1e-6)
    np.testing.assert_allclose(out["rsds"], 1.0, rtol=1e-6)


def test_layers_of_another_grid_are_refused() -> None:
    with pytest.raises(GridError, match="altitude of both grids"):
        TileRegridder(LAT, LON, TILE, source_orog=np.zeros((8, 8)))
    with pytest.raises(GridError, match=r"'target_orog' has shape \(8, 8\)"):
        TileRegridder(LAT, LON, TILE, source_orog=np.zeros((8, 8)), target_orog=np.zeros((8, 8)))
    with pytest.raises(GridError, match=r"'tas' has shape"):
        TileRegridder(LAT, LON, TILE).cells("tas", np.zeros((1, 7, 8)), np.arange(4))
