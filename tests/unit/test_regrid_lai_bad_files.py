"""Leaf-area files and settings that are refused in one sentence."""

from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from fluxatlas.config.lai import LaiSeries
from fluxatlas.config.static import StaticBlock
from fluxatlas.errors import FluxAtlasError, GridError, InputError, UnitError
from fluxatlas.regrid.lai import read_lai
from lai_composites import FRAME, GOOD, PIXELS, flat, netcdf, pair, series, starts, tif, year


def _cut(path, share=0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def _one(folder, layer="Lai_500m", day="2009161"):
    return folder / f"MCD15A2H.061_{layer}_doy{day}_aid0001.tif"


def _missing(folder):
    return folder / "nothing_here.tif"


def _truncated(folder):
    rng = np.random.default_rng(1)
    pair(folder, date(2009, 6, 10), rng.integers(0, 90, (PIXELS, PIXELS)), GOOD)
    _cut(_one(folder))


def _no_raster(folder):
    _one(folder).write_text("<html>503 Service Unavailable</html>")


def _truncated_quality(folder):
    _cut(_one(folder, "FparLai_QC"))


def _no_quality(folder):
    _one(folder, "FparLai_QC").unlink()


def _gap(folder):
    for day in starts(2009, 8)[10:20]:
        for layer in ("Lai_500m", "FparLai_QC"):
            _one(folder, layer, f"{day:%Y%j}").unlink()


def _doubled(folder):
    for layer in ("Lai_500m", "FparLai_QC"):
        copy = _one(folder, layer)
        (folder / copy.name.replace("aid0001", "aid0001 (1)")).write_bytes(copy.read_bytes())


def _out_of_range(folder):
    pair(folder, date(2009, 6, 10), 180, GOOD)


def _other_grid(folder):
    tif(_one(folder, "FparLai_QC"), np.zeros((PIXELS - 1, PIXELS - 1), np.uint8))


def _shifted_grid(folder):
    tif(_one(folder, "FparLai_QC"), np.zeros((PIXELS, PIXELS), np.uint8), west=-8.01)


def _no_date(folder):
    _one(folder).rename(folder / "MCD15A2H.061_Lai_500m_summer.tif")


def _wrong_date(folder):
    for layer in ("Lai_500m", "FparLai_QC"):
        _one(folder, layer).rename(_one(folder, layer, "2009160"))


def _two_products(folder):
    pair(folder, date(2009, 1, 1), 20, GOOD, "MCD15A3H.061")


def _averaged_quality(folder):
    tif(_one(folder, "FparLai_QC"), np.full((PIXELS, PIXELS), 0.5, np.float32), nodata=None)


def _hdf(folder):
    path = folder / "MCD15A2H.A2009161.h17v05.061.2021123004412.hdf"
    path.write_bytes(b"\x0e\x03\x13\x01")
    return path


BAD = [
    (_missing, {}, InputError, r"file not found: .*nothing_here"),
    (lambda folder: folder / "*.tiff", {}, InputError, "no file fits the pattern"),
    (_truncated, {}, InputError, r"cannot be read .*(.|\n)*doy2009161"),
    (_no_raster, {}, InputError, r"cannot be read as a raster (.|\n)*Lai_500m_doy2009161"),
    (_truncated_quality, {}, InputError, r"cannot be read (.|\n)*FparLai_QC_doy2009161"),
    (_no_quality, {}, InputError, r"no quality file for it\n  where: .*Lai_500m_doy2009161(.|\n)*use_quality: false"),
    (_gap, {}, InputError, r"only 36 of 46 composites .*missing: 2009-03-22, 2009-03-30, 2009-04-07, \.\.\."),
    (_doubled, {}, InputError, "two composites of 2009-06-10 cover the same cells"),
    (
        _out_of_range,
        {},
        InputError,
        r"2304 of 2304 stored values lie outside 0 to 100 .*the first is 180\n.*doy2009161",
    ),
    (_other_grid, {}, GridError, r"its quality on others\n  where: .*FparLai_QC_doy2009161"),
    (_shifted_grid, {}, GridError, r"its quality on others"),
    (_no_date, {}, InputError, r"no date in 'MCD15A2H.061_Lai_500m_summer.tif'"),
    (_wrong_date, {}, InputError, r"2009-06-09 \(day 160 of the year\) opens no composite of 8 days"),
    (_two_products, {}, InputError, "several products: MCD15A2H, MCD15A3H"),
    (_averaged_quality, {}, InputError, r"0.5 is not a quality byte"),
    (_hdf, {}, InputError, "HDF files cannot be read"),
    (None, {"years": [2010, 2011]}, InputError, "no composite of the years"),
    (None, {"years": [2008, 2009]}, InputError, r"only 46 of 92 composites of 2008-01-01 to 2009-12-31"),
    (None, {"band": 3}, InputError, "the file has 1 bands, band 3 is needed"),
    (None, {"date_format": "%Y-%m-%d"}, InputError, "no date in"),
    (None, {"scale": 0.5}, InputError, r"lie outside \[0, 12\]"),
]


@pytest.mark.parametrize(("harm", "options", "kind", "message"), BAD)
def test_bad_files_are_refused_in_one_sentence(tmp_path, harm, options, kind, message) -> None:
    year(tmp_path, lai=30)
    path = harm(tmp_path) if harm else None
    with pytest.raises(kind, match=message) as caught:
        read_lai(series(path or tmp_path, **options), FRAME)
    assert caught.value.where and caught.value.hint


def _stack(tmp_path, **changes):
    days = changes.pop("days", starts(2008, 4))
    lai = changes.pop("lai", flat(20, len(days)))
    quality = changes.pop("quality", flat(0, len(days)))
    return netcdf(tmp_path / "MCD15A3H.006_500m_aid0001.nc", days, lai, quality, **changes)


BAD_STACKS = [
    ({"units": "percent"}, {}, UnitError, "'percent' is not a unit of leaf area"),
    ({"units": "kg m-2"}, {}, UnitError, "'kg m-2' is not a unit of leaf area"),
    ({"name": "Fpar_500m"}, {}, InputError, r"no variable 'Lai_500m'; did you mean 'Fpar_500m'"),
    ({"quality": None}, {}, InputError, "no variable 'FparLai_QC'"),
    ({"lai": flat(120, 92)}, {}, InputError, "outside 0 to 100 and are not fill codes; the first is 120"),
    ({"quality": flat(300, 92, np.int16)}, {}, InputError, "300 is not a quality byte"),
    ({"days": [date(2008, 1, 1)] * 2}, {}, InputError, "two composites of 2008-01-01 in one file"),
    ({"days": [date(2008, 1, 1), date(2008, 1, 3)]}, {}, InputError, "2008-01-03 .* opens no composite of 4 days"),
    ({"days": [date(2008, 1, 1), date(2008, 3, 1)]}, {}, InputError, "only 2 of 16 composites"),
    ({"scale_factor": "a tenth"}, {}, InputError, "scale_factor = 'a tenth' is not a number"),
    ({"calendar": "lunar"}, {}, InputError, "the calendar 'lunar' cannot be used"),
    ({}, {"variable": "LAI"}, InputError, "no variable 'LAI'"),
    ({}, {"product": "MCD15A2H"}, InputError, "2008-01-05 .* opens no composite of 8 days"),
]


@pytest.mark.parametrize(("changes", "options", "kind", "message"), BAD_STACKS)
def test_bad_stacks_are_refused_in_one_sentence(tmp_path, changes, options, kind, message) -> None:
    path = _stack(tmp_path, **changes)
    with pytest.raises(kind, match=message) as caught:
        read_lai(series(path, **options), FRAME)
    assert caught.value.where and caught.value.hint


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95])
def test_truncated_stacks(tmp_path, share: float) -> None:
    rng = np.random.default_rng(4)
    path = _stack(tmp_path, lai=rng.integers(0, 90, (92, PIXELS, PIXELS)).astype(np.uint8))
    _cut(path, share)
    with pytest.raises(FluxAtlasError):
        read_lai(series(path), FRAME)


def test_metres_are_no_degrees(tmp_path) -> None:
    import xarray as xr

    path = _stack(tmp_path)
    with xr.open_dataset(path, decode_times=False, mask_and_scale=False) as data:
        metres = data.load()
    metres.assign_coords(lat=metres["lat"] * 111e3, lon=metres["lon"] * 111e3).to_netcdf(tmp_path / "MCD15A3H_m.nc")
    with pytest.raises(GridError, match="are not degrees"):
        read_lai(series(tmp_path / "MCD15A3H_m.nc"), FRAME)


BAD_SETTINGS = [
    ({"path": []}, "path"),
    ({"path": "a", "product": "MCD15"}, "product"),
    ({"path": "a", "product": "other"}, "product 'other' needs a 'window'"),
    ({"path": "a", "years": [2010, 2008]}, "run backwards"),
    ({"path": "a", "date_format": "%j"}, "'date_format' needs %Y"),
    ({"path": "a", "quality": {"cloud": [4]}}, "'cloud' takes one or more states of 0 to 3"),
    ({"path": "a", "quality": {"scf": []}}, "'scf' takes one or more states"),
    ({"path": "a", "quality": {"clouds": [0]}}, "did you mean 'cloud'"),
    ({"path": "a", "minimum_share": 0}, "minimum_share"),
]


@pytest.mark.parametrize(("keys", "message"), BAD_SETTINGS)
def test_bad_settings(keys, message) -> None:
    with pytest.raises(ValidationError, match=message):
        LaiSeries.model_validate(keys)


def test_leaf_area_is_given_once() -> None:
    with pytest.raises(ValidationError, match="leaf area is given twice"):
        StaticBlock.model_validate({"layers": {"lai": {"path": "lai.tif"}}, "lai_series": {"path": "a"}})
