"""The files of ``ingest/constraints`` on disk: contract, values to packing, CF, provenance, all or nothing, picture."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import constraint_files as made
from fluxatlas.cli import app
from fluxatlas.config.constraints import Constraint, constraint_inputs
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.ingest.constraints.build import build
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.ingest.constraints.soil_moisture import load_soil_moisture

FLUX = made.known_flux()
RNG = np.random.default_rng(11)


def quiet(text: str) -> None:
    assert text


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ingest", "constraint", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def cf_problems(path: Path) -> int:
    from compliance_checker.runner import CheckSuite, ComplianceChecker

    CheckSuite.load_all_available_checkers()
    report = path.with_suffix(".json")
    ComplianceChecker.run_checker(
        str(path), ["cf:1.11"], 0, "normal", output_filename=str(report), output_format="json"
    )
    return sum(len(found["msgs"]) for found in json.loads(report.read_text())["cf:1.11"]["high_priorities"])


def test_a_flux_file(tmp_path: Path) -> None:
    made.gcb(tmp_path, FLUX)
    code, said = run(
        "build", "--settings", json.dumps({"path": str(tmp_path / "GCP*.nc")}), "--output", str(tmp_path / "gcb.nc"),
        "--bbox", "-10", "30", "10", "50", "--plot", str(tmp_path / "gcb.png"),
    )  # fmt: skip
    assert code == 0 and "global sum" in said and "fire included: True" in said
    loaded = load_inversion(next(tmp_path.glob("GCP*.nc")))
    with xr.open_dataset(tmp_path / "gcb.nc") as found:
        assert found.fco2.dims == ("time", "member", "lat", "lon")  # whole, whatever the box
        np.testing.assert_array_equal(found.fco2.transpose("time", "lat", "lon", "member"), loaded)
        assert list(found.member_name.values) == ["CAMS", "CarboScope"]
        assert [str(t)[:10] for t in found.time_bnds.values[1]] == ["2015-02-01", "2015-03-01"]
        assert found.attrs["sign"] == "positive_to_atmosphere" and found.attrs["fire_included"] == "true"
        assert found.fco2.attrs["units"] == "g m-2 d-1" and found.fco2.dtype == np.float32
        assert json.loads(found.attrs["fluxatlas_settings"])["kind"] == "auto"
        assert len(json.loads(found.attrs["fluxatlas_inputs"])) == 1
    assert cf_problems(tmp_path / "gcb.nc") == 0
    assert (tmp_path / "gcb.png").stat().st_size > 20_000


def test_a_soil_moisture_file_fills_gaps_and_counts(tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=5)
    values = RNG.random((5, 16, 16)) * 0.5
    flag = (RNG.random(values.shape) < 0.2).astype(int)
    paths = made.esa_cci(tmp_path, days, values, flag)
    paths[2].unlink()
    settings = Constraint(path=[str(tmp_path / "ESACCI*.nc")])
    box = (10.5, 36.5, 13.0, 39.0)
    lines: list[str] = []
    build(settings, tmp_path / "cci.nc", box, lines.append)
    assert any("kept" in line and "flagged" in line for line in lines) and any("absent" in line for line in lines)
    with xr.open_dataset(tmp_path / "cci.nc") as found:
        assert found.swc05.dims == ("time", "lat", "lon") and found.sizes["time"] == 5
        assert not np.isfinite(found.swc05[2]).any()
        good = np.where(flag == 0, values, np.nan)[:, 4:14, 2:12]
        for here in (0, 1, 3, 4):
            np.testing.assert_allclose(found.swc05[here], good[here], atol=1.01e-5)
            np.testing.assert_allclose(found.swc05_sd[here], good[here] * 0.1, atol=1.01e-5)
        kept = int(np.isfinite(good[[0, 1, 3, 4]]).sum())
        assert (found.attrs["kept_swc05"], found.attrs["flagged_swc05"]) == (kept, 400 - kept)
        assert (found.attrs["absent_days"], found.attrs["gaps"]) == (1, "1 day absent from 2010-01-03")
    with netCDF4.Dataset(tmp_path / "cci.nc") as file:
        assert file["swc05"].dtype == np.int16 and file["swc05"]._FillValue == -32768
        assert float(file["swc05"].scale_factor) == 2e-5
    assert cf_problems(tmp_path / "cci.nc") == 0


def test_points_of_real_cell_files(tmp_path: Path, data_dir: Path) -> None:
    folder = data_dir / "soil_moisture/awst-austria_qa4sm/ESA_CCI_SM_combined/ESA_CCI_SM_C_V04_4"
    if not folder.exists():
        pytest.skip(f"no real data: {folder} does not exist")
    paths = [folder / "0165.nc", folder / "0166.nc"]
    settings = Constraint(path=[str(folder / "016*.nc")], first_year=2015, last_year=2016)
    build(settings, tmp_path / "points.nc", say=quiet)
    loaded = load_soil_moisture(paths).sel(time=slice("2015", "2016"))
    with xr.open_dataset(tmp_path / "points.nc") as found:
        assert found.attrs["featureType"] == "timeSeries" and found.swc05.shape == (731, 26)
        np.testing.assert_allclose(found.swc05, loaded.swc05, atol=1.01e-5)
        np.testing.assert_array_equal(found.lat, loaded.lat)
        assert found.location_id.attrs["cf_role"] == "timeseries_id"
    assert cf_problems(tmp_path / "points.nc") == 0
    code, _ = run("plot", str(tmp_path / "points.nc"), str(tmp_path / "points.png"))
    assert code == 0 and (tmp_path / "points.png").exists()


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    paths = made.carbontracker(tmp_path, FLUX)
    paths[2].write_bytes(paths[2].read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated"):
        build(Constraint(path=[str(tmp_path / "CT2022*.nc")]), tmp_path / "out" / "ct.nc", say=quiet)
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(InputError, match="no file matches the pattern"):
        build(Constraint(path=[str(tmp_path / "nothing*.nc")]), tmp_path / "out" / "ct.nc", say=quiet)


def test_overrides_need_a_reason_and_keep_it(tmp_path: Path) -> None:
    path = made.gcas(tmp_path, FLUX)[0]
    with pytest.raises(ConfigError, match="needs a 'reason'"):
        run("build", "--settings", json.dumps({"path": str(path), "start": "2015-01"}), "--output", "x.nc")
    with pytest.raises(ConfigError, match="first_year 2011 lies after"):
        run("build", "--settings", json.dumps({"path": "x", "first_year": 2011, "last_year": 2010}), "--output", "x.nc")
    reason = "the file has no time axis; its first month is in the paper"
    settings = Constraint(path=[str(path)], start="2015-01", reason=reason, add_fire=True)
    build(settings, tmp_path / "gcas.nc", say=quiet)
    with xr.open_dataset(tmp_path / "gcas.nc") as found:
        assert found.attrs["override_reason"] == reason and found.attrs["fire_included"] == "true"
    assert constraint_inputs(settings) == [str(path)]


def test_the_list_of_kinds() -> None:
    code, said = run("kinds")
    assert code == 0 and "carboscope" in said and "smap_l4" in said and "without fire" in said
