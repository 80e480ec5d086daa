"""Soil moisture in each provider's layout against plain numpy: flags, units, overpasses, layers, gaps, memory."""

import tracemalloc
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import constraint_files as made
from fluxatlas.errors import InputError, UnitError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.constraints.cells import CellAxes, CellMean
from fluxatlas.ingest.constraints.ease import edges
from fluxatlas.ingest.constraints.recognise import recognise
from fluxatlas.ingest.constraints.soil_moisture import SoilMoisture, load_soil_moisture

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("sensor", ["COMBINED", "PASSIVE", "ACTIVE"])
def test_esa_cci_days(tmp_path: Path, sensor: str) -> None:
    days = pd.date_range("2010-12-30", periods=4)
    scale = 100 if sensor == "ACTIVE" else 0.5
    values = RNG.random((4, 5, 6)) * scale
    values[0, 0, 0] = np.nan
    flag = np.zeros(values.shape, int)
    flag[1, 1, 1], flag[2, 2, 2], flag[3, 3, 3] = 1, 64, 66  # frozen; advisory; advisory and dense vegetation
    paths = made.esa_cci(tmp_path, days, values, flag, sensor)
    assert recognise(paths[0]).kind == "esa_cci"
    found = load_soil_moisture(paths[::-1])
    name = "sat05" if sensor == "ACTIVE" else "swc05"
    good = np.isfinite(values) & (flag != 1) & (flag != 66)
    expected = np.where(good, values / (100 if sensor == "ACTIVE" else 1), np.nan)
    np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    np.testing.assert_allclose(found[f"{name}_sd"], expected * 0.1, rtol=1e-5)
    assert [found.attrs[f"{reason}_{name}"] for reason in ("kept", "missing", "flagged", "out_of_range")] == [
        117,
        1,
        2,
        0,
    ]
    assert [str(t)[:10] for t in found.time.values] == [str(d)[:10] for d in days]
    assert found.lat.values[0] == 39.875


def test_a_box_and_another_grid(tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=1)
    values = RNG.random((1, 8, 8)) * 0.5
    paths = made.esa_cci(tmp_path, days, values, np.zeros(values.shape, int))
    cut = load_soil_moisture(paths, bbox=(10.6, 38.6, 11.4, 39.4))
    np.testing.assert_allclose(cut.swc05[0], values[0, 2:6, 2:6], rtol=1e-6)
    coarse = load_soil_moisture(paths, grid=get_grid("0.5deg"), bbox=(10.5, 38.5, 11.5, 39.5))
    sines = np.abs(np.diff(np.sin(np.deg2rad(40 - 0.25 * np.arange(9)))))
    pair = values[0, 2:4, 2:4].mean(axis=1)
    assert float(coarse.swc05[0, 0, 0]) == pytest.approx(float(np.average(pair, weights=sines[2:4])), rel=1e-6)
    assert coarse.swc05.shape == (1, 2, 2)


def global_field(missing: float) -> np.ndarray:
    values = 0.05 + 0.4 * RNG.random((406, 964))
    values[RNG.random(values.shape) < missing] = np.nan
    return values


def test_smap_both_overpasses_flags_and_the_equal_area_grid(tmp_path: Path) -> None:
    am, pm = global_field(0.6), global_field(0.6)
    flag = np.where(
        RNG.random(am.shape) < 0.2, 7, 8
    )  # 7: not recommended, skipped, failed; 8: frozen part, recommended
    path = made.smap_l3(tmp_path, "2020-07-05", am, pm, flag)
    assert recognise(path).kind == "smap"
    box = (-20.0, -35.0, 52.0, 38.0)
    mean = CellMean(CellAxes(*edges("36 km")), CellAxes.of_grid(get_grid("0.25deg"), box), 0.5)
    for overpass, parts in (("am", [am]), ("pm", [pm]), ("both", [am, pm])):
        good = np.stack([np.where(flag == 8, part, np.nan) for part in parts]).astype(np.float32)
        with np.errstate(invalid="ignore"):
            count = np.isfinite(good).sum(axis=0)
            plain = np.where(count > 0, np.nansum(good, axis=0) / np.maximum(count, 1), np.nan)
        found = load_soil_moisture(path, overpass=overpass, bbox=box)
        np.testing.assert_allclose(found.swc05[0], mean(plain), rtol=1e-5)
        assert found.attrs["kept_swc05"] == int(np.isfinite(good).sum())
        assert found.attrs["flagged_swc05"] == sum(int((np.isfinite(p) & (flag == 7)).sum()) for p in parts)
        assert (found.attrs["grid"], found.attrs["quality_flag_swc05"][:19]) == ("0.25deg", "retrieval_qual_flag")
    assert float(found.swc05_sd.mean()) == pytest.approx(0.04, rel=1e-4)


def test_smap_subsets_of_the_9_km_grid(tmp_path: Path) -> None:
    am = 0.1 + 0.3 * RNG.random((60, 70))
    path = made.smap_l3(tmp_path, "2020-07-06", am, am * np.nan, am * 0, "9 km", block=(400, 1800))
    rows, columns = edges("9 km")
    found = load_soil_moisture(path, bbox=(-11.5, 26.6, -5.7, 31.0), overpass="am")
    cells = CellAxes(rows[400:461], columns[1800:1871])
    expected = CellMean(cells, CellAxes.of_grid(get_grid("0.25deg"), (-11.5, 26.6, -5.7, 31.0)), 0.5)(am)
    np.testing.assert_allclose(found.swc05[0], expected, rtol=1e-5)
    assert np.isfinite(found.swc05).any()


def test_smap_level_4_needs_all_eight_steps_of_a_day(tmp_path: Path) -> None:
    steps = 0.1 + 0.3 * RNG.random((9, 40, 50))
    block = (500, 2000)
    paths = [made.smap_l4(tmp_path, f"20200705T{1 + 3 * n:02d}3000", steps[n], block) for n in range(8)]
    paths.append(made.smap_l4(tmp_path, "20200706T013000", steps[8], block))
    box = (7.0, 18.0, 11.0, 21.0)
    found = load_soil_moisture(paths, bbox=box)
    rows, columns = edges("9 km")
    cells = CellAxes(rows[500:541], columns[2000:2051])
    expected = CellMean(cells, CellAxes.of_grid(get_grid("0.25deg"), box), 0.5)(steps[:8].mean(axis=0))
    np.testing.assert_allclose(found.swc05[0], expected, rtol=1e-5)
    assert not np.isfinite(found.swc05[1]).any() and found.attrs["incomplete_days"] == 1


def test_era5_land_layers_hourly_over_two_files(tmp_path: Path) -> None:
    january, february = 0.2 + 0.2 * RNG.random((744, 3, 4)), 0.2 + 0.2 * RNG.random((24 * 28, 3, 4))
    paths = [made.era5_land(tmp_path, "2019-02", february), made.era5_land(tmp_path, "2019-01", january)]
    found = load_soil_moisture(paths, bbox=(5, 44.75, 5.35, 45.1))
    hours = np.concatenate([january, february])
    daily = hours.reshape(59, 24, 3, 4).mean(axis=1)
    for name, layer in (("swc05", 1), ("swc15", 2), ("swc45", 3)):
        np.testing.assert_allclose(found[name], daily / layer, rtol=1e-5)
    assert set(found.data_vars) == {"swc05", "swc15", "swc45"}  # layer 4 lies below all standard depths
    assert found.attrs["layer_swc45"] == "28-100 cm"


def test_absent_days_are_kept_as_gaps_or_refused(tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=6)
    values = RNG.random((6, 3, 3)) * 0.5
    paths = made.esa_cci(tmp_path, days, values, np.zeros(values.shape, int))
    some = [paths[0], paths[1], paths[4], paths[5]]
    assert load_soil_moisture(some).attrs["gaps"] == "2 days absent from 2010-01-03"
    with pytest.raises(InputError, match="a gap in time: 2 days absent from 2010-01-03"):
        load_soil_moisture(some, refuse_gaps=True)
    kept = load_soil_moisture(paths, years=(2010, 2010))
    assert kept.sizes["time"] == 6


def test_means_over_longer_than_a_day_are_refused(tmp_path: Path) -> None:
    values = RNG.random((6, 3, 3)) * 0.5
    dekads = pd.DatetimeIndex([f"2010-{m:02d}-{d}" for m in (1, 2) for d in ("01", "11", "21")])
    paths = made.esa_cci(tmp_path, dekads, values, np.zeros(values.shape, int))
    with pytest.raises(InputError, match=r"steps of 1[01] days are not daily soil moisture"):
        load_soil_moisture(paths)
    path = made.era5_land(tmp_path, "2019-01", values)
    months = xr.load_dataset(path).assign_coords(valid_time=pd.date_range("2019-01-01", periods=6, freq="MS"))
    months.to_netcdf(tmp_path / "months.nc")
    with pytest.raises(InputError, match="steps of 31 days are not daily"):
        load_soil_moisture(tmp_path / "months.nc")


def test_ragged_cell_files_in_percent(tmp_path: Path) -> None:
    sizes, stamps = np.array([3, 0, 2]), [14000.2, 14000.7, 14003.1, 14001.0, 14001.5]
    data = xr.Dataset(
        {
            "row_size": ("locations", sizes, {"sample_dimension": "obs"}),
            "location_id": ("locations", [11, 12, 13]),
            "sm": ("obs", [20.0, 40.0, 60.0, 50.0, -9999.0], {"units": "%"}),
            "conf_flag": ("obs", np.array([0, 0, 0, 0, 0], np.int8)),
            "lat": ("locations", [47.0, 47.1, 47.2]),
            "lon": ("locations", [8.0, 8.1, 8.2]),
            "time": ("obs", stamps, {"units": "days since 1970-01-01"}),
        },
        attrs={"title": "H SAF ASCAT surface soil moisture"},
    )
    data.to_netcdf(tmp_path / "1234.nc", encoding={"sm": {"_FillValue": None}})
    found = load_soil_moisture(tmp_path / "1234.nc")
    expected = np.full((4, 3), np.nan)
    expected[0, 0], expected[3, 0], expected[1, 2] = 0.3, 0.6, 0.5
    np.testing.assert_allclose(found.sat05, expected, rtol=1e-6)
    assert found.attrs["missing_sat05"] == 1


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    days = pd.date_range("1990-01-01", periods=40)
    values = np.broadcast_to(RNG.random((1, 120, 160)) * 0.5, (40, 120, 160))
    paths = made.esa_cci(tmp_path, days, values, np.zeros(values.shape, int))

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in SoilMoisture(paths[:count], "esa_cci").days()) == count
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(5)
    few, many = peak(8), peak(40)
    assert many < few + 0.05 * 32 * values[0].nbytes, (few, many)  # a twentieth of one field of the further files


# --- bad input ------------------------------------------------------------------------------------------------------


def days_of(folder: Path, count: int = 3) -> list[Path]:
    days = pd.date_range("2010-01-01", periods=count)
    values = RNG.random((count, 12, 12)) * 0.5
    return made.esa_cci(folder, days, values, np.zeros(values.shape, int))


def rewrite(path: Path, change) -> None:
    data = change(xr.load_dataset(path, decode_times=False, mask_and_scale=False))
    data.to_netcdf(path)


def with_calendar(data: xr.Dataset, name: str) -> xr.Dataset:
    return data.assign_coords(time=("time", data.time.values, {**data.time.attrs, "calendar": name}))


BAD = {
    "another grid": (lambda d: d.assign_coords(lat=d.lat + 0.1), "its cells differ from those of"),
    "another size": (lambda d: d.isel(lat=slice(0, 5)), "its cells differ from those of"),
    "another unit": (lambda d: d.assign(sm=d.sm.assign_attrs(units="percent")), "its unit 'percent' differs"),
    "unknown unit": (lambda d: d.assign(sm=d.sm.assign_attrs(units="K")), "the unit of 'sm' is 'K'"),
    "missing variable": (lambda d: d.drop_vars("sm"), "none of the variables sm"),
    "out of range": (lambda d: d.assign(sm=(d.sm * 100).assign_attrs(d.sm.attrs)), "out of range.*\n.*\n.*in percent"),
    "repeated time": (lambda d: d.assign_coords(time=("time", d.time.values - 1, d.time.attrs)), "more than once"),
    "no time": (lambda d: d.isel(time=0).drop_vars("time"), "no time that can be read"),
    "wrong calendar": (lambda d: with_calendar(d, "360_day"), "calendar '360_day'"),
    "uneven rows": (lambda d: d.assign_coords(lat=d.lat**2), "evenly|beyond the pole"),
}  # fmt: skip


@pytest.mark.parametrize("defect", BAD)
def test_a_defect_in_a_later_file_is_one_message(tmp_path: Path, defect: str) -> None:
    change, message = BAD[defect]
    paths = days_of(tmp_path)
    rewrite(paths[1], change)
    with pytest.raises(InputError, match=message) as caught:
        load_soil_moisture(paths, "esa_cci")
    assert str(paths[1].name)[:20] in caught.value.where and caught.value.hint


def test_missing_truncated_empty_and_odd_files(tmp_path: Path) -> None:
    paths = days_of(tmp_path)
    with pytest.raises(InputError, match="file not found"):
        load_soil_moisture([*paths, tmp_path / "ESACCI-20110101.nc"], "esa_cci")
    paths[2].write_bytes(paths[2].read_bytes()[: paths[2].stat().st_size // 2])
    with pytest.raises(InputError, match="truncated"):
        load_soil_moisture(paths, "esa_cci")
    paths[2].write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        load_soil_moisture(paths, "esa_cci")
    with pytest.raises(InputError, match="no soil moisture file"):
        load_soil_moisture([], "esa_cci")


def test_granules_that_cannot_be_used(tmp_path: Path) -> None:
    am = 0.1 + 0.3 * RNG.random((60, 70))
    good = made.smap_l3(tmp_path, "2020-07-06", am, am, am * 0, "9 km", block=(400, 1800))
    nameless = good.rename(tmp_path / "granule.h5")
    with pytest.raises(InputError, match=r"no date .YYYYMMDD. in the name"):
        load_soil_moisture(nameless, "smap")
    path = nameless.rename(tmp_path / "SMAP_L3_SM_P_E_20200706_R1.h5")
    with netCDF4.Dataset(path, "a") as file:
        file["Soil_Moisture_Retrieval_Data_AM"]["latitude"][:] += 0.5
    with pytest.raises(InputError, match="no global EASE-Grid"):
        load_soil_moisture(path, "smap")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="truncated"):
        load_soil_moisture(path, "smap")
    with netCDF4.Dataset(tmp_path / "SMAP_L3_SM_P_20200707_R1.h5", "w") as file:
        file.createGroup("Soil_Moisture_Retrieval_Data_AM")
    with pytest.raises(InputError, match="none of the variables"):
        load_soil_moisture(tmp_path / "SMAP_L3_SM_P_20200707_R1.h5", "smap")


def test_files_of_no_kind_and_of_several(tmp_path: Path) -> None:
    xr.Dataset({"tas": ("x", [1.0]), "lat": ("y", [1.0])}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"of no known kind of constraint; it holds lat, tas\n"):
        recognise(tmp_path / "a.nc")
    both = xr.Dataset({"bio_flux_opt": ("x", [1.0]), "flux_apos_bio": ("x", [1.0])})
    both.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(InputError, match="fits several kinds: cams, carbontracker"):
        recognise(tmp_path / "b.nc")
    xr.Dataset({"gpi": ("gp", [1]), "cell": ("gp", [1])}).to_netcdf(tmp_path / "grid.nc")
    with pytest.raises(InputError, match="index of grid points"):
        recognise(tmp_path / "grid.nc")


def test_the_real_index_of_cell_files_is_refused(data_dir: Path) -> None:
    folder = data_dir / "soil_moisture/awst-austria_qa4sm/GLDAS/GLDAS_TESTDATA_HAWAII"
    if not folder.exists():
        pytest.skip(f"no real data: {folder} does not exist")
    for kind in ("", "gldas"):
        with pytest.raises(InputError, match="index of grid points"):
            load_soil_moisture(folder / "grid.nc", kind)
    whole = load_soil_moisture([folder / "0165.nc", folder / "0166.nc"])
    assert whole.sizes["location"] == 21 and whole.attrs["kind"] == "gldas"
    with pytest.raises(InputError, match="a place is in several files"):
        load_soil_moisture([folder / "0165.nc", folder / "0165.nc"])


def test_noise_beyond_the_bounds_is_brought_to_them_and_counted(tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=1)
    values = np.full((1, 4, 4), 60.0)
    values[0, 0] = -0.5, 101.0, -30.0, 100.0
    found = load_soil_moisture(made.esa_cci(tmp_path, days, values, np.zeros(values.shape, int), "ACTIVE"))
    np.testing.assert_allclose(found.sat05.values[0, 0], [0.0, 1.0, np.nan, 1.0])
    assert (found.attrs["clipped_sat05"], found.attrs["out_of_range_sat05"], found.attrs["kept_sat05"]) == (2, 1, 15)


def test_fractions_that_call_themselves_percent_are_refused(tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=3)
    values = RNG.random((3, 4, 4)) * 0.5
    paths = made.esa_cci(tmp_path, days, values, np.zeros(values.shape, int), "ACTIVE")
    with pytest.raises(UnitError, match=r"'sat05' is in '.*' but a fraction by magnitude .*, not percent"):
        load_soil_moisture(paths)
