"""Every layout of an inversion, made from one known flux, is recognised and comes back as that flux."""

from pathlib import Path

import numpy as np
import pytest

import constraint_files as made
from fluxatlas.errors import InputError
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.ingest.constraints.recognise import recognise
from fluxatlas.ingest.constraints.units import FluxUnit, parse_flux_unit

FLUX = made.known_flux()


@pytest.mark.parametrize("layout", made.LAYOUTS)
def test_each_layout_is_recognised_and_gives_the_same_flux(tmp_path: Path, layout: str) -> None:
    write, kind, said = made.LAYOUTS[layout]
    paths = write(tmp_path, FLUX)
    assert recognise(paths[0]).kind == kind
    found = load_inversion(paths[::-1], step="month", **said)
    assert found.dims == ("time", "lat", "lon", "member")
    assert (found.lat.values[0], found.lon.values[0]) == (87.5, -177.5)
    assert [str(t)[:10] for t in found.time.values] == ["2015-01-01", "2015-02-01", "2015-03-01"]
    np.testing.assert_allclose(found[..., 0], FLUX[:, ::-1], rtol=2e-5, atol=1e-9)
    assert found.attrs["sign"] == "positive_to_atmosphere"
    sums = (FLUX * made.AREA).sum(axis=(1, 2))
    expected = np.average(sums, weights=[31, 28.25, 31]) * 365.25 / 1e15
    if kind != "gcb":
        assert found.attrs["global_sum"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("layout", "fire"),
    [("gcb", True), ("carbontracker", False), ("carbontracker_europe", False), ("cams", True), ("carboscope", True),
     ("oco2_mip", True), ("gcas", False), ("gongga", False), ("cms_flux", True), ("fluxcom", False)],
)  # fmt: skip
def test_what_a_flux_contains_is_said_and_fire_can_be_added(tmp_path: Path, layout: str, fire: bool) -> None:
    write, kind, said = made.LAYOUTS[layout]
    paths = write(tmp_path, FLUX)
    found = load_inversion(paths, kind, **said)
    assert found.attrs["fire_included"] is fire
    assert found.attrs["lateral"] == ("not seen by towers" if kind == "fluxcom" else "not removed")
    assert found.attrs["fossil_adjusted"] is (kind in ("gcb", "fluxcom"))
    if not fire and kind not in ("fluxcom",):
        whole = load_inversion(paths, kind, add_fire=True, step="month", **said)
        assert whole.attrs["fire_included"] is True
        assert "with fire" in whole.attrs["content"]
        np.testing.assert_allclose(whole[..., 0], (FLUX + made.fire())[:, ::-1], rtol=2e-5, atol=1e-9)


def test_members_of_the_ensemble_have_their_names_and_periods(tmp_path: Path) -> None:
    for year in (2022, 2023, 2024):
        found = load_inversion(made.gcb(tmp_path, FLUX, year), "gcb")
        assert list(found.member.values) == ["CAMS", "CarboScope"]
        assert bool(found[0, :, :, 1].isnull().all()) and bool(found[1, :, :, 1].notnull().all())
    path = made.gcb(tmp_path, FLUX, 2022)
    river = load_inversion(path, "gcb", variable="land_flux_fossil_cement_and_river_adjusted")
    assert river.attrs["lateral"] == "removed (rivers)"
    np.testing.assert_allclose(river[..., 0], FLUX[:, ::-1] - 0.001, rtol=2e-5, atol=1e-8)


def test_three_hourly_fluxes_become_days_and_months(tmp_path: Path) -> None:
    paths = made.carbontracker_3_hourly(tmp_path, FLUX)
    months = load_inversion(paths, "carbontracker", step="month")
    np.testing.assert_allclose(months[..., 0], FLUX[:2, ::-1], rtol=1e-4, atol=1e-7)
    days = load_inversion(paths[:3], "carbontracker")
    assert [str(t)[:10] for t in days.time.values] == ["2015-01-01", "2015-01-02", "2015-01-03"]
    np.testing.assert_allclose(days[1, :, :, 0], FLUX[0, ::-1] + 0.01 * (2 - 16), rtol=1e-4, atol=1e-7)
    with pytest.raises(InputError, match=r"no complete month: 2015-01 \(3 of 31 days\)"):
        load_inversion(paths[:3], "carbontracker", step="month")


@pytest.mark.parametrize("base", [0, 1])
def test_regional_totals_are_kept_on_the_grid(tmp_path: Path, base: int) -> None:
    path = made.carbontracker_europe_regions(tmp_path, FLUX, base)
    found = load_inversion(path)
    assert found.attrs["spatial"] == "even within each region of the file"
    back = found.values[:, ::-1, :, 0]
    region = np.broadcast_to(np.arange(made.LON.size) * 22 // made.LON.size, made.AREA.shape).copy()
    region[:4] = 22
    for number in (0, 7, 22):
        here = region == number
        np.testing.assert_allclose(
            (back * made.AREA)[:, here].sum(axis=1), (FLUX * made.AREA)[:, here].sum(axis=1), rtol=1e-5
        )
        assert np.ptp(back[0][here]) < 1e-9


def test_a_flux_into_the_land_is_turned_where_the_file_or_the_user_says_so(tmp_path: Path) -> None:
    path = made.whole_year("cms_flux", tmp_path, FLUX, -1, positive="down")
    found = load_inversion(path)
    assert found.attrs["sign_changed"] is True
    np.testing.assert_allclose(found[:3, ..., 0], FLUX[:, ::-1], rtol=2e-5)
    path = made.whole_year("cms_flux", tmp_path, FLUX, -2)
    with pytest.raises(InputError, match=r"outside -6\.\.2[\s\S]*the sign is the other way round"):
        load_inversion(path)
    again = load_inversion(path, sign="to_land")
    np.testing.assert_allclose(again[:3, ..., 0], 2 * FLUX[:, ::-1], rtol=2e-5)


def test_a_season_alone_is_not_taken_for_a_bias(tmp_path: Path) -> None:
    summer = load_inversion(made.oco2_mip(tmp_path, 8 * FLUX), "oco2_mip")
    assert summer.attrs["global_sum"] < -12
    assert "months of the year are absent" in summer.attrs["notes"]
    assert "notes" not in load_inversion(made.whole_year("oco2_mip", tmp_path, FLUX)).attrs


MISTAKES = [
    (44.009 / 12.011, "values are of CO2, not of C .a factor of 12/44"),
    (12.0, "values are per year, but the unit says per month .a factor of 12"),
    (-1.6, "the sign is the other way round"),
    (365.25, "values are per year, but the unit says per day .a factor of 365"),
    (1e10, "division by the cell area is missing"),
]


@pytest.mark.parametrize(("factor", "message"), MISTAKES)
def test_an_implausible_global_sum_names_the_likely_mistake(tmp_path: Path, factor: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_inversion(made.whole_year("oco2_mip", tmp_path, FLUX, factor))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("PgC m-2 yr-1", FluxUnit(1e15, "yr", False)),
        ("PgC/yr", FluxUnit(1e15, "yr", True)),
        ("GtC yr-1", FluxUnit(1e15, "yr", True)),
        ("mol region-1 s-1", FluxUnit(12.011, "s", True)),
        ("umolCO2 m-2 s-1", FluxUnit(12.011e-6, "s", False)),
        ("mumolCO2 m-2 s-1", FluxUnit(12.011e-6, "s", False)),
        ("g C m**-2 day**-1", FluxUnit(1.0, "d", False)),
        ("gC/(m2 d)", FluxUnit(1.0, "d", False)),
        ("kg CO2/m^2/month", FluxUnit(1e3 * 12.011 / 44.009, "month", False)),
        ("gC km-2 yr-1", FluxUnit(1e-6, "yr", False)),
    ],
)
def test_units(text: str, unit: FluxUnit) -> None:
    found = parse_flux_unit(text)
    assert found is not None and (found.time, found.per_cell) == (unit.time, unit.per_cell)
    assert found.grams == pytest.approx(unit.grams, rel=1e-12)


@pytest.mark.parametrize("text", ["", "kg m-2 s-1", "g m-2 d-1", "K", "gC m-2", "gC", "mol m-2 s-1 K-1", "W m-2", "?"])
def test_what_is_no_flux_of_carbon(text: str) -> None:
    assert parse_flux_unit(text) is None
