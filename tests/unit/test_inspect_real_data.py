"""``fluxatlas inspect`` on every real file: what it is, whether it can be used, and each defect that the lists name."""

import json
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from fluxatlas.inspect.registry import expand, inspect_path
from fluxatlas.inspect.report import STATUSES, Report
from fluxatlas.inspect.screen import render

TOWERS, EU, KIT = "flux_towers", "flux_towers/jpdarela_FLUXNET_EU", "flux_towers/geco-bern_FluxDataKit"
VIC = "flux_towers/UW-Hydro_VIC_sample_data"
MET, WALNUT = "gridded_met", "gridded_met/UW-Hydro_VIC_sample_data/WalnutGulch"
ERA5 = "gridded_met/FZJ-IEK3-VSA_RESKit/era5-like"
COSORE, VOIGT = "soil_ch4/bpbond_cosore", "soil_ch4/Lyreshka_MethaneData"
HAWAII = "soil_moisture/awst-austria_qa4sm"
ISMN = f"{HAWAII}/ISMN/ISMN_TESTDATA_HAWAII"
WET, CH4 = "wetland_ch4/McNicol-Lab_upch4", "wetland_ch4/mwdjones_dichotomous_FLUXNET-CH4"
NOAA = "atmosphere/lyubo-t_climate-forcing-model"
LIVNEH = f"{WALNUT}/forcings/livneh_NAmerExt_15Oct2014.WalnutGulch.2008.nc"
CITIES = f"{MET}/Ouranosinc_xclim-testdata/daily_surface_cancities_1990-1993.nc"
COWEETA = "static/fmyuan_watershed-workflow_Coweeta"
ANNUAL = f"{TOWERS}/EcosystemEcologyLab_fluxnet-annual-2026"
CARDAMOM = "flux_towers/CARDAMOM-framework_CARDAMOM_v2.2/validation_data"
CAPACITY = "static/geco-bern_FluxDataKit/ancillary_data/field_capacity/field_capacity.tif"
DOCUMENTS = ("*.md", "*LICENSE*", "*MANIFEST.tsv", "*/DESCRIPTION", "*/README", "*.cff", "*eadme.txt", "*README.txt")

# pattern (the first that fits counts) -> format and status
EXPECTED: list[tuple[str, str, str]] = [
    ("flux_towers/gregory*/metadata_ebc_filt.csv", "site-list", "part"),
    *((pattern, "documentation", "not_input") for pattern in DOCUMENTS),
    (f"{EU}/*ERAI_DD*.csv", "fluxnet-daily", "usable"),
    (f"{EU}/*FULLSET_DD*.csv", "fluxnet-daily", "usable"),
    (f"{EU}/*FULLSET_MM*.csv", "fluxnet-monthly", "usable"),
    (f"{EU}/*/ref_da/et_*.nc", "ref-da-series", "no_reader"),
    (f"{EU}/*/ref_da/*.nc", "ref-da-series", "part"),
    (f"{EU}/FLUXNET2015FULLSETCODETABLE.csv", "documentation", "not_input"),
    (f"{EU}/*.csv", "site-list", "part"),
    (f"{TOWERS}/geco-bern_rsofun/sites.csv", "site-list", "part"),
    (f"{TOWERS}/geco-bern_rsofun/*_drivers.csv", "rsofun", "usable"),
    (f"{TOWERS}/geco-bern_rsofun/*_fluxes.csv", "rsofun", "usable"),
    (f"{KIT}/p_model_drivers/*.rds", "p-model-drivers", "no_reader"),
    (f"{KIT}/*.csv", "fluxnet-daily", "usable"),
    (f"{TOWERS}/leap-stc_metaflux/*/*.csv", "metaflux-monthly", "usable"),
    (f"{TOWERS}/alexxxroz_CarbonBench/*/*.csv", "tower-scores", "no_reader"),
    (f"{TOWERS}/gregory*/combined*.csv", "ecostress-calval", "usable"),
    (f"{TOWERS}/gregory*/metadata*.csv", "table", "no_reader"),
    (f"{ANNUAL}/site_flux_medians_*.csv", "tower-medians", "no_reader"),
    (f"{ANNUAL}/site_flux_medians_*.csv.meta.json", "documentation", "not_input"),
    *((f"{ANNUAL}/site_{name}*.csv", "table", "no_reader") for name in ("record_length", "worldclim")),
    (f"{ANNUAL}/trendy_unit_conversions.csv", "table", "no_reader"),
    (f"{ANNUAL}/*.csv", "site-list", "part"),
    (f"{TOWERS}/development_sites.tsv", "table", "no_reader"),
    (f"{TOWERS}/geco-bern*/*.nc", "plumber2", "usable"),
    (f"{TOWERS}/chuhousen*/*.zip", "ameriflux-base", "usable"),
    (f"{TOWERS}/chuhousen*/*.xlsx", "ameriflux-bif", "part"),
    (f"{VIC}/*/stdfmt/*", "stdfmt", "usable"),
    (f"{VIC}/*/flux_obs/AMF*", "ameriflux-l2", "usable"),
    (f"{VIC}/*/flux_obs/*.txt", "documentation", "not_input"),
    (f"{TOWERS}/CARDAMOM*/validation_data/*.csv", "cardamom-monthly", "usable"),
    (f"{TOWERS}/CARDAMOM*/location_fluxnet.csv", "site-list", "part"),
    (LIVNEH, "netcdf-grid", "usable"),
    (f"{WALNUT}/parameters/*.nc", "netcdf-layers", "usable"),
    (f"{WALNUT}/parameters/*.txt", "documentation", "not_input"),
    *((f"{ERA5}/{name}*", "netcdf-grid", "part") for name in ("2m_", "surface_", "10m_wind_speed")),
    (f"{ERA5}/*", "netcdf-layers", "no_reader"),
    ("*SARAH-SIS.nc", "netcdf-grid", "part"),
    ("*SARAH-DNI.nc", "netcdf-layers", "no_reader"),
    (CITIES, "netcdf-points", "no_reader"),
    (f"{VOIGT}/*", "voigt", "usable"),
    ("soil_ch4/COMPASS*/cores_collars.csv", "table", "no_reader"),
    ("soil_ch4/COMPASS*/*.csv", "chamber-study", "part"),
    ("soil_ch4/jhmatthes*/*CO2CH4flux.csv", "chamber-study", "part"),
    ("soil_ch4/jhmatthes*/*.csv", "table", "no_reader"),
    ("soil_ch4/loic*/*.csv", "chamber-study", "part"),
    ("soil_ch4/tomc*/*.csv", "chamber-study", "part"),
    ("soil_ch4/mingkaijiang*/*.csv", "table", "no_reader"),
    ("soil_moisture/andres*/*", "uscrn-daily", "usable"),
    ("soil_ch4/corina*/upland_ch4_places.csv", "soil-ch4-means", "usable"),
    (f"{COSORE}/CSR_COLUMN_UNITS.csv", "documentation", "not_input"),
    (f"{COSORE}/d20*", "cosore", "usable"),
    ("soil_ch4/bpbond_srdb/srdb-data.csv", "srdb", "usable"),
    ("soil_ch4/bpbond_srdb/srdb-data_fields.txt", "documentation", "not_input"),
    (f"{HAWAII}/*/grid.nc", "grid-point-index", "not_input"),
    (f"{HAWAII}/*/016?.nc", "soil-moisture", "usable"),
    (f"{ISMN}/*_p_0.0*.stm", "ismn-stm", "no_reader"),
    (f"{ISMN}/*.stm", "ismn-stm", "usable"),
    (f"{ISMN}/*static_variables.csv", "ismn-static", "part"),
    (f"{ISMN}/*", "documentation", "not_input"),
    ("static/*/ESA_CCI_2018_clip.tif", "geotiff-land-cover", "usable"),
    ("static/*/clc-aachen_clipped.tif", "geotiff-land-cover", "no_reader"),
    ("static/*/land_cover.tif", "geotiff-land-cover", "no_reader"),
    ("static/*/field_capacity.tif", "geotiff", "no_reader"),
    ("static/*/DTB.tif", "geotiff", "no_reader"),
    ("static/bpbond_srdb/fractional_land.0.5-deg.nc", "netcdf-layers", "usable"),
    (f"{COWEETA}/*.nc", "netcdf-layers", "usable"),
    (f"{COWEETA}/*.shp", "shapefile", "usable"),
    (f"{COWEETA}/coweeta_basin.*", "shapefile-part", "not_input"),
    ("static/*.geojson", "geojson", "usable"),
    ("static/*/climatezones.rda", "koeppen-points", "no_reader"),
    ("static/*/kmz.rda", "r-data", "no_reader"),
    ("static/*/fdk_site_info.csv", "site-list", "part"),
    ("static/*.csv", "documentation", "not_input"),
    (f"{CH4}/*.csv", "fluxnet-daily", "usable"),
    ("wetland_ch4/*/Annual_CH4_estimates.rds", "wetland-ch4-annual", "usable"),
    (f"{WET}/modis/*.csv", "modis-8day", "no_reader"),
    (f"{WET}/*monthly_sum*.csv", "ch4-monthly-totals", "no_reader"),
    (f"{WET}/annual_sum_95ci.csv", "ch4-annual-totals", "no_reader"),
    (f"{WET}/all_site_coords.csv", "site-list", "unusable"),
    (f"{WET}/predictors_metadata.csv", "documentation", "not_input"),
    (f"{WET}/*.csv", "site-list", "part"),
    ("*.xlsx", "xlsx", "no_reader"),
    (f"{NOAA}/co2_*", "noaa-gml", "usable"),
    (f"{NOAA}/ch4_*", "noaa-gml", "usable"),
    ("atmosphere/RPGroup*/*.csv", "ch4-soil-sink-totals", "no_reader"),
    ("atmosphere/isald*/*.nc", "netcdf-layers", "no_reader"),
    ("atmosphere/*.csv", "carbon-budget", "no_reader"),
    ("crop/*/nass.*", "usda-yield", "usable"),
    ("crop/JiaxuanYou*/yield*.csv", "county-yield", "usable"),
    ("crop/JiaxuanYou*/*.csv", "", "unrecognised"),  # without a header
    ("crop/WUR-AI*/*.csv", "county-yield", "usable"),
]


@cache
def report_of(path: Path) -> Report:
    if not path.exists():
        pytest.skip(f"no real data: {path} does not exist")
    report = inspect_path(path)
    report.series.clear()  # what is drawn would only fill the memory
    return report


def test_every_file_is_recognised(data_dir: Path) -> None:
    """Format and status of all files; no crash; the screen and the JSON of each can be made.

    Of files of one pattern the first twelve are looked at, then every tenth.
    """
    wrong, seen = [], Counter[str]()
    for path in expand([data_dir]):
        name = path.relative_to(data_dir).as_posix()
        pattern, *fits = next((row for row in EXPECTED if fnmatch(name, row[0])), (name, "no pattern", ""))
        seen[pattern] += 1
        if seen[pattern] > 12 and seen[pattern] % 10:
            continue
        report = report_of(path)
        if [report.format, report.status] != fits or "internal" in report.codes():
            wrong.append(f"{name}: {report.format}, {report.status} ({report.verdict}); expected {fits}")
        assert report.status in STATUSES
        assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["usable"] is report.usable
        assert path.name in render(report, width=100)
    assert not wrong, "\n".join(wrong)
    assert seen.total() > 700


DEFECTS: list[tuple[str, str, str, str]] = [
    # towers
    (f"{EU}/BE-Lcr/FLX_BE-Lcr_FLUXNET2015_ERAI_DD_1989-2020_beta-3.csv", "empty-rows", "", "2020-12-31 (366 rows)"),
    (f"{EU}/RU-Fyo/FLX_RU-Fyo_FLUXNET2015_ERAI_DD_1989-2020_beta-3.csv", "missing-code", "TA_ERA", "-9999 (366"),
    (f"{EU}/DE-Hai/FLX_DE-Hai_FLUXNET2015_FULLSET_MM_2000-2020_beta-3.csv", "units-not-in-file", "", "no units"),
    (f"{EU}/BE-Vie/ref_da/nee_Vie_FLUXNET2015.nc", "unit-contradicts-step", "nee", "0.030437"),
    (f"{EU}/BE-Vie/ref_da/et_Vie_FLUXNET2015.nc", "unit-contradicts-step", "et", "mm per 30.44 d"),
    (f"{EU}/GF-Guy/ref_da/et_Guy_FLUXNET2015.nc", "all-missing", "et", "no value"),
    (f"{EU}/GF-Guy/ref_da/et_Guy_FLUXNET2015.nc", "no-energy-balance", "et", "energy balance"),
    (f"{KIT}/FLX_US-Wi7_FLUXNET2015_FULLSET_DD_2005-2005_1-4.csv", "gap-filled", "", "evspsbl, hfls, hfss, nee"),
    (f"{TOWERS}/chuhousen_amerifluxr/AMF_US-CRT_BASE-BADM_2-5.zip", "missing-code", "FC", "-9999 (8,376 of 17,520)"),
    (f"{TOWERS}/chuhousen_amerifluxr/AMF_US-CRT_BASE-BADM_2-5.zip", "missing-code", "FCH4", "-9999 (12,447 of 17,520)"),
    (f"{TOWERS}/chuhousen_amerifluxr/AMF_US-CRT_BASE-BADM_2-5.zip", "missing-code", "LE", "-9999 (8,299 of 17,520)"),
    (f"{VIC}/WHS/stdfmt/WHS.stdfmt.daily.txt", "missing-code", "LWdown", "-9999 (839 of 2,013)"),
    (f"{VIC}/WKG/flux_obs/AMF_USWkg_2004_L2_WG_V006.csv", "all-missing", "NEE", "no value"),
    (f"{VIC}/WHS/flux_obs/AMF_USWhs_2007_L2_WG_V004.csv", "missing-code", "TA", "-9999 (245 of 8,902)"),
    (f"{CARDAMOM}/validation_AR-SLu.csv", "units-not-in-file", "", "states no units"),
    (f"{CARDAMOM}/validation_FI-Jok.csv", "time-gap", "", "missing steps"),
    # gridded meteorology
    (LIVNEH, "unit-by-magnitude", "wind", "m s-1"),
    (LIVNEH, "unit-label", "prec", "mm timestep-1"),
    (LIVNEH, "local-time", "time", "local"),
    (CITIES, "tiny-negative", "pr", "-5.17e-10"),
    (CITIES, "tiny-negative", "prsn", "tiny negative"),
    (CITIES, "unit-missing", "hurs", "no unit label"),
    (CITIES, "fraction-not-percent", "hurs", "fraction"),
    (CITIES, "contradicting-labels", "rlds", "net"),
    # soil methane
    (f"{VOIGT}/SoilChamber_1.rds", "spikes", "Longwave_Radiation_In", "14940.6"),
    (f"{VOIGT}/SoilChamber_1.rds", "out-of-range", "Longwave_Radiation_In", "-208.2"),
    (f"{COSORE}/d20190610_SIHI_H2", "scaled-missing-code", "CSR_FLUX_CH4", "3,279 values are exactly -231458.33"),
    (f"{COSORE}/d20200328_UEYAMA_HOKUROKU", "percent-not-fraction", "CSR_SM5", "percent"),
    (f"{COSORE}/d20200808_MINIAT", "percent-not-fraction", "CSR_SM15", "percent"),
    (f"{COSORE}/d20200825_MINIAT", "percent-not-fraction", "CSR_SM15", "percent"),
    (f"{COSORE}/d20200808_MINIAT", "out-of-range", "CSR_T5", "301.265"),
    (f"{COSORE}/d20190617_SCOTT_WKG", "all-missing", "CSR_FLUX_CH4", "no value"),
    ("soil_ch4/COMPASS-DOE_grossMethane/2019_CH4data.csv", "missing-code", "FCH4", "-9999 (502 of 1,218)"),
    ("soil_ch4/tomc-GIS_Soil-GHG-flux-upscaling/aarhus_soil_ghg.csv", "unit-missing", "", "units of the fluxes"),
    # soil moisture
    (f"{HAWAII}/ESA_CCI_SM_combined/ESA_CCI_SM_C_V04_4/0165.nc", "missing-code", "sm", "-9999"),
    (f"{HAWAII}/ERA5_LAND/ERA5_LAND_TESTDATA_HAWAII/0165.nc", "time-shifted-day", "", "06:00"),
    (f"{HAWAII}/GLDAS/GLDAS_TESTDATA_HAWAII/0165.nc", "amount-not-content", "SoilMoi0_10cm_inst", "kg m-2"),
    (f"{HAWAII}/SMAP/SMAP_V5_PM/netcdf/0165.nc", "sparse", "soil_moisture_pm", "0.8 %"),
    (f"{ISMN}/SCAN/PuaAkala/SCAN_SCAN_PuaAkala_sm_0.050800_0.050800_Hydraprobe-Analog-(2.5-Volt)_20170101_20181231.stm",
     "flagged-values", "", "5,037 flag C"),
    (f"{ISMN}/ISMN_qualityflags_description.txt", "not-utf8", "", "not UTF-8"),
    # static layers
    ("static/bpbond_srdb/fractional_land.0.5-deg.nc", "longitude-0-360", "", "0.25 to 359.75"),
    (CAPACITY, "zero-as-missing", "band 1", "are 0"),
    (f"{COWEETA}/land_cover/land_cover.tif", "no-nodata", "", "no missing value"),
    (f"{COWEETA}/coweeta_basin.shp", "projected", "", "26917"),
    (f"{COWEETA}/land_cover/MODIS/modis_LAI_08-01-2010_08-01-2011_35.0838x-83.4885_35.0173x-83.4117.nc",
     "calendar", "time", "julian"),
    # wetlands
    (f"{CH4}/FLX_SE-Deg_FLUXNET-CH4_DD_2014-2018_1-1.csv", "units-not-in-file", "", "no units"),
    (f"{WET}/gcp_monthly_sum.csv", "time-start-unknown", "", "month number 1"),
    (f"{WET}/modis/MODIS_Day_LST_8day_QC.csv", "identical-file", "", "MODIS_Night_LST"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code", "variable", "words"), DEFECTS, ids=[f"{d[1]}-{Path(d[0]).name[:40]}" for d in DEFECTS]
)
def test_each_listed_defect_is_named(data_dir: Path, path: str, code: str, variable: str, words: str) -> None:
    found = report_of(data_dir / path).findings
    said = [f"{f.code} {f.variable}: {f.message}" for f in found]
    assert any(f.code == code and f.variable == variable and words in f.message for f in found), "\n".join(said)


# (path, first day, last day, step, number of times)
COVERAGE = [
    (LIVNEH, "2008-01-01", "2008-12-31 21:00", "3 h", 2928),
    (CITIES, "1990-01-01", "1993-12-31", "1 d", 1461),
    (f"{ERA5}/2m_temperature.nc", "2015-01-01", "2015-01-06 19:00", "1 h", 140),
    (f"{EU}/FI-Ken/FLX_FI-Ken_FLUXNET2015_FULLSET_DD_2018-2020_beta-3.csv", "2018-01-01", "2020-12-31", "1 d", 1096),
    (f"{EU}/BE-Vie/FLX_BE-Vie_FLUXNET2015_FULLSET_MM_1996-2020_beta-3.csv", "1996-01-01", "2020-12-01", "1 month", 300),
    (f"{KIT}/US-Wi7_2005-2005_FLUXNET2015_Met.nc", "2005-01-01", "2005-12-31 23:30", "30 min", 17520),
    (f"{VIC}/WKG/stdfmt/WKG.stdfmt.daily.txt", "2004-05-06", "2012-12-31", "1 d", 3162),
    (f"{HAWAII}/GLDAS/GLDAS_TESTDATA_HAWAII/0165.nc", "2017-01-01 03:00", "2019-01-01", "3 h", 5840),
    (f"{HAWAII}/ESA_CCI_SM_combined/ESA_CCI_SM_C_V04_4/0165.nc", "1978-11-01", "2018-06-30", "1 d", 14487),
    (f"{NOAA}/ch4_mm_gl.csv", "1983-07-01", "2025-04-01", "1 month", 502),
    (f"{CH4}/FLX_US-EDN_FLUXNET-CH4_DD_2018-2018_1-1.csv", "2018-01-01", "2018-09-30", "1 d", 273),
    (f"{COWEETA}/land_cover/MODIS/modis_LAI_08-01-2010_08-01-2011_35.0838x-83.4885_35.0173x-83.4117.nc",
     "2010-08-01", "2011-08-01", "4 d", 93),
]  # fmt: skip


@pytest.mark.parametrize(("path", "start", "end", "step", "n"), COVERAGE, ids=[Path(c[0]).name[:40] for c in COVERAGE])
def test_time_coverage(data_dir: Path, path: str, start: str, end: str, step: str, n: int) -> None:
    time = report_of(data_dir / path).time
    assert time is not None
    assert (time.start, time.end, time.step, time.n) == (start, end, step, n)


def test_ranges_and_positions_of_the_lists(data_dir: Path) -> None:
    """Numbers that the lists of sources state."""
    voigt = report_of(data_dir / VOIGT / "SoilChamber_1.rds").variables
    flux = [v for v in voigt if v.name == "CH4_Flux_ug_m2_h"]  # automatic and manual
    assert sum(v.n - v.missing for v in flux) == 45024
    assert min(v.minimum or 0 for v in flux) == pytest.approx(-273.6, abs=0.5)
    assert max(v.maximum or 0 for v in flux) == pytest.approx(780, abs=0.5)
    wet = {v.units: (v.minimum, v.maximum) for v in voigt if v.name == "Soil_Moisture_VWC"}
    assert wet["%"][1] == pytest.approx(58.78)  # of the campaigns in percent, of the automatic chambers a fraction
    assert wet["m3 m-3"][1] is not None and wet["m3 m-3"][1] < 1
    scott = report_of(data_dir / COSORE / "d20190617_SCOTT_WHS")
    assert any("no CH4 flux" in note for note in scott.details["ingest_notes"])
    wisconsin = report_of(data_dir / KIT / "US-Wi7_2005-2005_FLUXNET2015_Met.nc")
    assert any("LWdown 0 %" in note for note in wisconsin.details["ingest_notes"])  # measured or well filled
    hokuroku = report_of(data_dir / COSORE / "d20200328_UEYAMA_HOKUROKU")
    flux = next(v for v in hokuroku.variables if v.name == "CSR_FLUX_CH4")
    assert (flux.minimum, flux.median, flux.maximum) == pytest.approx((-5.69, -1.67, 0.6), abs=0.05)
    assert hokuroku.space is not None
    assert hokuroku.space.bbox[:2] == pytest.approx([138.7647, 35.4435], abs=1e-4)
    livneh = report_of(data_dir / LIVNEH).space
    assert livneh is not None
    assert livneh.shape == [3, 5]
    assert livneh.cell == pytest.approx([0.0625, 0.0625])
    cover = report_of(data_dir / "static/FZJ-IEK3-VSA_RESKit/ESA_CCI_2018_clip.tif")
    assert len(cover.details["classes"]) == 18
    srdb = next(
        v for v in report_of(data_dir / "soil_ch4/bpbond_srdb/srdb-data.csv").variables if v.name == "Rs_annual"
    )
    assert (srdb.n, srdb.n - srdb.missing) == (12272, 6763)


def test_mapping_says_source_conversion_and_override(data_dir: Path) -> None:
    rows = {row.canonical: row for row in report_of(data_dir / LIVNEH).mapping}
    assert set(rows) == {"tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind"}
    assert rows["huss"].source == ["vapor_pressure", "air_pressure"]
    assert "'m s-1' instead of the label 'mm s-1'" in rows["sfcWind"].override
    sihi = report_of(data_dir / COSORE / "d20190610_SIHI_H2")
    assert next(row.source for row in sihi.mapping if row.canonical == "fch4") == ["CSR_FLUX_CH4"]
