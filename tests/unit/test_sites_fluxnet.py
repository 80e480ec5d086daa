"""FLUXNET, ICOS ERA and FLUXNET-CH4 files: numbers of the real files, units, QC counts and every error path."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.sites import QcRules
from fluxatlas.errors import InputError
from fluxatlas.humidity import saturation_vapour_pressure, vapour_pressure
from fluxatlas.ingest.sites import fluxnet, quick, weather
from fluxnet_cases import WETLANDS, carbon, half_hourly, place, plain, read, real


@pytest.mark.parametrize(("site", "last"), [("DE-Tha", "2019-12-31"), ("BE-Vie", "2020-12-31")])
def test_era_files_end_where_the_source_list_says(data_dir: Path, site: str, last: str) -> None:
    path = real(data_dir, site, "ERAI_DD")
    (record,), ledger = read([path], sites=place(site))
    assert record.forcing is not None
    complete = record.forcing.dropna()
    assert str(complete.index[0].date()) == "1989-01-01"
    assert str(complete.index[-1].date()) == last
    lost = 366 if last.startswith("2019") else 0
    assert ledger.counts[(site, "PA_ERA", "days")]["missing code -9999"] == lost


def test_era_units_against_a_plain_reading(data_dir: Path) -> None:
    path = real(data_dir, "DE-Tha", "ERAI_DD")
    (record,), _ = read([path], sites=place("DE-Tha"))
    raw = plain(path).loc["2001"]
    ours = record.forcing.loc["2001"]
    np.testing.assert_allclose(ours["tas"], raw["TA_ERA"] + 273.15, rtol=1e-12)
    np.testing.assert_allclose(ours["pr"] * 86400, raw["P_ERA"], atol=1e-9)
    np.testing.assert_allclose(ours["ps"], raw["PA_ERA"] * 1000, rtol=1e-12)
    np.testing.assert_allclose(ours["rlds"], raw["LW_IN_ERA"], rtol=1e-12)
    assert ((ours["tasmin"] < ours["tas"]) & (ours["tas"] < ours["tasmax"])).all()
    relative = vapour_pressure(ours["huss"], ours["ps"]) / saturation_vapour_pressure(ours["tas"])
    assert 0.6 < relative.mean() < 0.95  # Tharandt is humid; a VPD taken as kPa would give 0.01


def test_soil_values_and_gap_filled_days(data_dir: Path) -> None:
    path = real(data_dir, "FI-Ken", "FULLSET_DD")
    (record,), ledger = read(
        [path], sites=place("FI-Ken"), temperature_depths={1: 5, 2: 10, 3: 30}, moisture_depths={1: 5}
    )
    raw = plain(path)
    good = raw["TS_F_MDS_1"].notna() & (raw["TS_F_MDS_1_QC"] >= 0.5)
    tsl = record.observations.query("variable == 'tsl05'").set_index("time")
    assert len(tsl) == good.sum()
    np.testing.assert_allclose(tsl["value"], raw.loc[good, "TS_F_MDS_1"] + 273.15, rtol=1e-12)
    np.testing.assert_allclose(tsl["qc"], raw.loc[good, "TS_F_MDS_1_QC"])
    swc = record.observations.query("variable == 'swc05'").set_index("time")["value"]
    raw_swc = raw.loc[raw["SWC_F_MDS_1_QC"] >= 0.5, "SWC_F_MDS_1"].dropna()
    assert swc.median() == pytest.approx(raw_swc.median() / 100)
    counted = ledger.counts[("FI-Ken", "swc05", "days")]
    assert counted["read"] == 1096
    assert counted["gap-filled"] == (raw["SWC_F_MDS_1"].notna() & (raw["SWC_F_MDS_1_QC"] < 0.5)).sum()
    assert set(record.observations["variable"]) >= {"tsl05", "tsl45", "swc05"}
    assert "tsl15" not in set(record.observations["variable"])  # 10 cm counts as 5 cm, and 5 cm itself is nearer


def test_of_unknown_depths_the_first_sensor_alone_is_used_and_the_screen_says_so(data_dir: Path) -> None:
    files = [real(data_dir, "FI-Ken", "FULLSET_DD")]
    (record,), ledger = read(files, sites=place("FI-Ken"))
    assert {name[:3] + name[-2:] for name in set(record.observations["variable"]) if name[:3] in ("tsl", "swc")} <= {
        "tsl05",
        "swc05",
    }
    (line,) = (line for line in ledger.told() if "depths of TS" in line)
    assert line.startswith("FI-Ken: depths of TS are stated nowhere: sensor 1 is taken to be at 5 cm")
    assert line.endswith("left out; state them with temperature_depths")
    (record,), ledger = read(files, sites=place("FI-Ken"), temperature_depths={1: 4.0, 2: 20.0})
    assert {"tsl05", "tsl15"} <= set(record.observations["variable"])
    assert not [line for line in ledger.told() if "depths of TS" in line]


def test_tower_and_era_files_of_one_site_are_joined(data_dir: Path) -> None:
    files = [real(data_dir, "IT-BFt", name) for name in ("FULLSET_DD", "ERAI_DD", "FULLSET_MM")]
    (record,), ledger = read(files, sites=place("IT-BFt"))
    tower, era = plain(files[0]), plain(files[1])
    ours = record.forcing["tas"]
    np.testing.assert_allclose(ours.loc["2019-06"], tower.loc["2019-06", "TA_F"] + 273.15)
    np.testing.assert_allclose(ours.loc["1995-06"], era.loc["1995-06", "TA_ERA"] + 273.15)
    assert "monthly file: its means are in periods.parquet, the site table is daily" in ledger.notes["IT-BFt"]


@pytest.mark.parametrize(
    ("site", "days", "valid"),
    [("SE-Deg", 1826, 1387), ("FI-Lom", 1826, 1585), ("CA-SCB", 1417, 648), ("US-EDN", 273, 166), ("BW-Gum", 365, 191)],
)
def test_fluxnet_ch4_days(data_dir: Path, site: str, days: int, valid: int) -> None:
    path = next((data_dir / WETLANDS).glob(f"FLX_{site}_*.csv"))
    rules = QcRules(valid_range=False, spike_z=0)
    (record,), ledger = read([path], rules, sites=place(site))
    fluxes = record.observations.query("variable == 'fch4'")
    assert ledger.counts[(site, "fch4", "days")]["read"] == days
    assert len(fluxes) == valid
    raw = plain(path)["FCH4"].dropna()
    assert fluxes["value"].mean() == pytest.approx(raw.mean() * 1.3861, rel=1e-4)
    assert any("not verified" in note for note in ledger.notes[site])


def test_fluxnet_ch4_unit_can_be_overridden(data_dir: Path) -> None:
    path = next((data_dir / WETLANDS).glob("FLX_FI-Si2_*.csv"))
    units = {"FCH4": {"units": "mg CH4-C m-2 d-1", "reason": "for this test"}}
    (record,), ledger = read([path], QcRules(valid_range=False, spike_z=0), sites=place("FI-Si2"), units=units)
    mean = record.observations.query("variable == 'fch4'")["value"].mean()
    assert mean == pytest.approx(plain(path)["FCH4"].mean() * 16.043 / 12.011)
    assert "FCH4 is read as mg CH4-C m-2 d-1 (for this test)" in ledger.notes["FI-Si2"]


def test_estimated_extremes_against_half_hourly_truth(data_dir: Path) -> None:

    folder = data_dir / "flux_towers/geco-bern_FluxDataKit"
    path = folder / "FLX_US-Wi7_FLUXNET2015_FULLSET_DD_2005-2005_1-4.csv"
    raw = plain(path)
    low, high = weather.extremes(
        *(raw[f"TA_F{part}"] for part in ("", "_DAY", "_NIGHT", "_DAY_SD", "_NIGHT_SD")), lat=46.65
    )
    with xr.open_dataset(folder / "US-Wi7_2005-2005_FLUXNET2015_Met.nc") as dataset:
        true = dataset["Tair"].squeeze().to_series() - 273.15
    day = true.groupby(true.index.floor("D"))
    for estimate, truth in ((low, day.min()), (high, day.max())):
        error = estimate.to_numpy() - truth.to_numpy()
        assert abs(np.nanmean(error)) < 0.8
        assert np.nanmean(np.abs(error)) < 1.3


def test_methane_towers_have_weather_of_their_own(data_dir: Path) -> None:
    path = next((data_dir / WETLANDS).glob("FLX_FI-Si2_*.csv"))
    (record,), ledger = read([path], QcRules(), sites=place("FI-Si2"))
    assert record.forcing is not None and len(record.forcing.dropna()) == len(plain(path))
    assert any("extremes_of_sun" in line for line in ledger.notes["FI-Si2"])


def test_extremes_of_the_sun_invert_the_formula_for_radiation() -> None:
    day = pd.date_range("2001-06-21", periods=3)  # FAO-56, annex 2, table 2.6: 41.6 MJ m-2 d-1 at 40 N in June
    above = 41.6e6 / 86400
    sun = pd.Series([0.16 * 9**0.5 * above, np.nan, above], index=day)
    low, high = weather.extremes_of_sun(pd.Series(290.0, index=day), sun, 40.0)
    assert (high - low).tolist() == pytest.approx([9, 4, 25], rel=0.02)
    assert ((high + low) / 2).tolist() == pytest.approx([290] * 3)
    dark = pd.date_range("2001-12-21", periods=1)
    low, high = weather.extremes_of_sun(pd.Series(250.0, index=dark), pd.Series(0.0, index=dark), 70.0)
    assert (high - low).tolist() == [4.0]


def test_extremes_of_a_sine_wave() -> None:
    hours = (np.arange(48) + 0.5) / 2
    wave = 280 + 6 * np.sin(2 * np.pi * (hours - 9) / 24)
    light = np.abs(hours - 12) < 6
    parts = [wave.mean(), wave[light].mean(), wave[~light].mean(), wave[light].std(), wave[~light].std()]
    series = [pd.Series([value], index=pd.to_datetime(["2001-03-21"])) for value in parts]
    low, high = weather.extremes(*series, lat=0.0)
    assert low.iloc[0] == pytest.approx(274, abs=0.05)
    assert high.iloc[0] == pytest.approx(286, abs=0.05)


def half_hours(days: int = 3) -> pd.DataFrame:
    start = pd.date_range("2005-05-01", periods=48 * days, freq="30min")
    step = np.arange(48 * days)
    return pd.DataFrame(
        {
            "TIMESTAMP_START": start.strftime("%Y%m%d%H%M"),
            "TIMESTAMP_END": (start + pd.Timedelta("30min")).strftime("%Y%m%d%H%M"),
            "TA_F": 10 + 5 * np.sin(2 * np.pi * step / 48),
            "P_F": 0.5,
            "SW_IN_F": 200.0,
            "LW_IN_F": 300.0,
            "VPD_F": 4.0,
            "PA_F": 100.0,
            "WS_F": 3.0,
            "TS_F_MDS_1": 8.0,
            "TS_F_MDS_1_QC": np.where(step % 4 == 0, 2, 0),
        }
    )


def write(tmp_path: Path, table: pd.DataFrame, name: str = "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2005-2005.csv") -> Path:
    path = tmp_path / name
    table.to_csv(path, index=False)
    return path


def test_half_hours_become_days(tmp_path: Path) -> None:
    table = half_hours()
    table.loc[100, "SW_IN_F"] = -9999  # the third day is incomplete
    (record,), _ = read([write(tmp_path, table)])
    forcing = record.forcing
    assert forcing["tasmax"].iloc[0] == pytest.approx(288.15)
    assert forcing["tasmin"].iloc[0] == pytest.approx(278.15)
    assert forcing["pr"].iloc[0] * 86400 == pytest.approx(24.0)  # 48 x 0.5 mm
    assert forcing["rsds"].notna().tolist() == [True, True, False]
    soil = record.observations.query("variable == 'tsl05'")
    assert soil["qc"].tolist() == pytest.approx([0.75] * 3)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "", "empty"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F\n", "no rows"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "DATE,TA_F\n20010101,3\n", "'TIMESTAMP' is missing"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,NEE\n20010101,3\n", "none of the columns"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F\n20010101,warm\n", "'warm' in row 1"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F\n20011301,3\n", "is not a time"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F\n20010101,3\n20010101,4\n", "more than once"),
        ("FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F,TA_F\n20010101,3,4\n", "more than once"),
        ("tower.csv", "TIMESTAMP,TA_F\n20010101,3\n", "which site"),
        ("FLX_YY-Oth_FLUXNET2015_FULLSET_DD.csv", "TIMESTAMP,TA_F\n20010101,3\n", "no coordinates"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read([path])
    assert str(path) in caught.value.where


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv"
    path.write_bytes(b"TIMESTAMP,TA_F,Temp\xe9rature\n20010101,3,4\n")
    with pytest.raises(InputError, match="0xe9 on line 1"):
        read([path])
    (record,), _ = read([path], encoding="latin-1")
    assert record.name == "XX-Tst"


def test_rows_out_of_order_and_repeated_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv"
    path.write_text("TIMESTAMP,TS_F_MDS_1\n20010103,3\n20010101,1\n20010103,3\n")
    (record,), _ = read([path])
    assert record.observations["value"].tolist() == pytest.approx([274.15, 276.15])


def test_two_versions_of_one_tower_are_refused(tmp_path: Path) -> None:
    for version, value in (("1-3", 3.0), ("1-4", 4.0)):
        (tmp_path / f"FLX_XX-Tst_FLUXNET2015_FULLSET_DD_{version}.csv").write_text(
            f"TIMESTAMP,TA_F\n20010101,{value}\n"
        )
    with pytest.raises(InputError, match="contradict each other on 2001-01-01"):
        read(sorted(tmp_path.glob("*.csv")))


def test_half_hours_against_plain_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "SMALLEST", 0)
    rng = np.random.default_rng(3)
    n = 48 * 40
    columns = {name: rng.normal(5, 2, n).round(3) for name in ("TA_F", "TS_F_MDS_1", "NEE_VUT_REF")}
    columns |= {"P_F": rng.exponential(0.1, n).round(3), "TS_F_MDS_1_QC": rng.integers(0, 4, n).astype(float)}
    columns["TS_F_MDS_1"][[100, 101, 700]] = -9999
    columns["TS_F_MDS_1_QC"][100:110] = -9999
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2004-2004_1-4.csv"
    path.write_text(half_hourly(40, **columns))
    found = fluxnet.read_file(path)
    ours = fluxnet.half_hours_to_days(found.table, [-9999.0])
    raw = pd.read_csv(path, na_values=[-9999])
    raw.index = pd.to_datetime(raw.pop("TIMESTAMP_START").astype(str), format="%Y%m%d%H%M")
    plain = raw.resample("D")
    whole = plain["TS_F_MDS_1"].count() == 48
    np.testing.assert_allclose(ours["TS_F_MDS_1"], plain["TS_F_MDS_1"].mean().where(whole), rtol=1e-12)
    np.testing.assert_allclose(ours["P_F"], plain["P_F"].sum(), rtol=1e-12)
    np.testing.assert_allclose(ours["TA_F_MAX"], plain["TA_F"].max(), rtol=1e-12)
    np.testing.assert_allclose(ours["NEE_VUT_REF"], plain["NEE_VUT_REF"].mean() * 12.011e-6 * 86400, rtol=1e-12)
    good = (raw["TS_F_MDS_1_QC"] <= 1).resample("D").mean()
    np.testing.assert_allclose(ours["TS_F_MDS_1_QC"], good, rtol=1e-12)
    assert "2004-02-29" in ours.index.strftime("%Y-%m-%d")


def test_quick_and_careful_reading_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "SMALLEST", 0)
    text = half_hourly(TA_F=(np.arange(144) / 7).round(4), TS_F_MDS_1=np.full(144, -9999)).replace("\n", "\r\n")
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2004-2004_1-4.csv"
    path.write_bytes(text.encode())
    assert quick.quick_file(path, ("TIMESTAMP_START",), lambda name: True) is not None
    swift = fluxnet.read_file(path)
    path.write_bytes(("\ufeff" + text).encode())  # a byte-order mark sends it the careful way
    careful = fluxnet.read_file(path)
    assert swift.resolution == careful.resolution == "HH"
    pd.testing.assert_frame_equal(swift.table, careful.table, check_freq=False)
    path.write_bytes(text.replace("200402281000,", "200402301000,").encode())
    with pytest.raises(InputError, match="not a time"):
        fluxnet.read_file(path)


def test_times_may_be_iso_dates_or_the_ends_of_half_hours(tmp_path: Path) -> None:
    plain = {kind: carbon(tmp_path, kind, {"VUT": 0.5}) for kind in ("DD", "HH", "MM")}
    for kind, path in plain.items():
        truth = fluxnet.read_file(path)
        table = pd.read_csv(path, dtype=str)
        clock = table.columns[0]
        index = truth.table.index
        forms = {
            "DD": ("%Y-%m-%d", "%Y-%m-%d 00:00:00"),
            "HH": ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:00"),
            "MM": ("%Y-%m",),
        }
        spelled = [table.assign(**{clock: index.strftime(form)}) for form in forms[kind]]
        if kind == "HH":
            ends = (index + pd.Timedelta("30min")).strftime
            spelled += [
                table.assign(TIMESTAMP_END=ends(form)).drop(columns=clock) for form in ("%Y%m%d%H%M", "%Y-%m-%d %H:%M")
            ]
        for made in spelled:
            path.write_text(made.to_csv(index=False))
            found = fluxnet.read_file(path)
            assert found.resolution == truth.resolution == kind
            pd.testing.assert_frame_equal(found.table, truth.table, check_freq=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TIMESTAMP_END,TA_F\n20010101,3\n20010102,3\n", "TIMESTAMP_END alone does not say where a period begins"),
        ("TIMESTAMP,TA_F\n01/02/2001,3\n02/02/2001,3\n", "such as '01/02/2001'.*YYYY-MM-DD HH:MM"),
        ("TIMESTAMP,TA_F\n2001-01-01T00:00Z,3\n", "such as '2001-01-01T00:00Z'.*local standard time"),
        ("TIMESTAMP,TA_F\n2001-01-01,3\n2001-13-01,3\n", "'20011301' in row 2 of column 'TIMESTAMP' is not a time"),
    ],
)
def test_times_that_cannot_be_read_are_shown(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"(?s){said}"):
        fluxnet.read_file(path)


def test_all_that_lacks_of_the_weather_is_named_on_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv"
    days = pd.date_range("2001-01-01", periods=5).strftime("%Y%m%d")
    path.write_text("TIMESTAMP,TA_F,SW_IN_F,P_F\n" + "".join(f"{day},3,100,0\n" for day in days))
    (record,), ledger = read([path])
    (line,) = (line for line in ledger.told() if "no meteorology" in line)
    assert record.forcing is None
    assert line.endswith("lack LW_IN_F or LW_IN_JSB_F or LW_IN_ERA, VPD_F or VPD_ERA, PA_F or PA_ERA, WS_F or WS_ERA")
