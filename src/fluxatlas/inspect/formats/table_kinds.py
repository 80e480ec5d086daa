"""Kinds of tables known by their columns: carbon budgets, yields, tower fluxes by month, chamber studies, SRDB."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..frames import Spec
from ..probe import Probe

Clock = Callable[[pd.DataFrame], Any]


@dataclass(frozen=True)
class Known:
    """A kind of table: how it is known, what its columns are, where its times come from."""

    format: str
    product: str
    match: Callable[[Probe, list[str]], bool]
    verdict: str
    specs: Callable[[Probe, pd.DataFrame], dict[str, Spec]] = lambda probe, table: {}
    clock: Clock | None = None
    separator: str = ","
    ordered: bool = True
    notes: tuple[tuple[str, str, str], ...] = ()
    """(level, code, message) that hold for every file of the kind."""
    sites: bool = False
    """Whether the columns are sites, which are listed and not judged one by one."""
    position: tuple[str, str] | None = None
    reader: str = ""
    """Reader of ingest, where there is one."""
    keys: tuple[str, ...] = field(default=())
    """Columns that are no data (years, indices)."""


def _years(name: str, month: str = "") -> Clock:
    def clock(table: pd.DataFrame) -> Any:
        year = pd.to_numeric(table[name], errors="coerce")
        months = pd.to_numeric(table[month], errors="coerce") if month else pd.Series(1, index=table.index)
        good = year.between(1, 2999) & months.between(1, 12) & (year % 1 == 0)
        text = (
            year.where(good, 2000).astype(int).map("{:04d}".format)
            + "-"
            + months.where(good, 1).astype(int).map("{:02d}".format)
        )
        stamps = np.array([np.datetime64(t, "M") for t in text]).astype("datetime64[s]")
        return np.where(good.to_numpy(), stamps, np.datetime64("NaT"))

    return clock


def _year_month(name: str) -> Clock:
    return lambda table: np.asarray(
        pd.to_datetime(table[name].astype(str), format="%Y%m", errors="coerce"), "datetime64[s]"
    )


def _dates(name: str, form: str = "%Y-%m-%d") -> Clock:
    return lambda table: np.unique(
        np.asarray(pd.to_datetime(table[name].astype(str), format=form, errors="coerce"), "datetime64[s]")
    )


def _modis(probe: Probe, table: pd.DataFrame) -> dict[str, Spec]:
    name = probe.name.upper()
    if "LAI" in name:
        return {str(column): Spec("m2 m-2", "lai") for column in table}
    unit = "degC" if "LST" in name else "1"
    return {str(column): Spec(unit) for column in table}


def _srdb(probe: Probe, table: pd.DataFrame) -> dict[str, Spec]:
    flux = {name: Spec("g C m-2 yr-1") for name in table.columns if re.match(r"R[sahcl]\w*_(annual|interann)", name)}
    return flux | {
        "Soil_sand": Spec("%", "sand"),
        "Soil_clay": Spec("%", "clay"),
        "MAT": Spec("degC", "tas", 1.0, 273.15),
        "MAP": Spec("mm yr-1"),
    }


def _units(**units: str) -> Callable[[Probe, pd.DataFrame], dict[str, Spec]]:
    """Units by column; ``rest`` is that of all other columns."""
    rest = units.pop("rest", "")
    return lambda probe, table: {str(name): Spec(units.get(str(name), rest)) for name in table.columns}


def _starts(*names: str) -> Callable[[Probe, list[str]], bool]:
    return lambda probe, header: header[: len(names)] == list(names)


def _holds(*names: str) -> Callable[[Probe, list[str]], bool]:
    return lambda probe, header: set(names) <= set(header)


CHAMBERS = "chamber fluxes in a study's own layout: no reader yet; the plain chamber table takes them"
TOWERS = {
    **dict.fromkeys(("NEE_VUT_REF", "GPP_NT_VUT_REF", "GPP_DT_VUT_REF", "RECO"), "g C m-2 d-1"),
    **dict.fromkeys(("LE_CORR", "H_CORR", "SW_IN_F", "LW_IN_F", "SW_IN_ERA", "LW_IN_ERA"), "W m-2"),
    **dict.fromkeys(("TA_F", "TA_ERA", "TA_ERA_DAY"), "degC"),
    **dict.fromkeys(("VPD_F", "VPD_ERA"), "hPa"),
    **dict.fromkeys(("PA_F", "PA_ERA"), "kPa"),
    **dict.fromkeys(("P_F", "P_ERA"), "mm d-1"),
    **dict.fromkeys(("WS_F", "WS_ERA", "USTAR"), "m s-1"),
    "LAI": "m2 m-2",
}
P_MODEL = {
    **dict.fromkeys(("temp", "tmin", "tmax"), "degC"),
    **dict.fromkeys(("vpd", "patm"), "Pa"),
    **dict.fromkeys(("rain", "snow"), "mm s-1"),
    **dict.fromkeys(("netrad", "le"), "W m-2"),
    **dict.fromkeys(("gpp", "nee"), "g C m-2 d-1"),
    "ppfd": "mol m-2 s-1",
    "co2": "ppm",
    "latenth": "J m-2 d-1",
}
GCB2023 = {"fossil emissions excluding carbonation", "GCB"}
BUDGET = {
    "Ocean-Sink",
    "Land-Use-Change",
    "Terrestrial-Sink",
    "Fossil-Fuel-And-Industry",
    "Fossil-Fuel-Industry",
} | GCB2023
TOTALS = "totals for evaluation: no reader yet"
NO_START = (
    ("warning", "time-start-unknown", "time is a running number: the file does not say which month number 1 is"),
)
KNOWN: tuple[Known, ...] = (
    Known(
        "carbon-budget",
        "Global Carbon Budget, annual totals",
        lambda p, h: h[:1] == ["Year"] and bool(BUDGET & set(h[1:3])),
        "global carbon budget: " + TOTALS,
        lambda p, t: {str(name): Spec("Gt C yr-1") for name in t.columns[1:]},
        _years("Year"),
        keys=("Year",),
    ),
    Known(
        "usda-yield",
        "USDA NASS yields by state and year",
        _starts("year", "state", "acres", "yield"),
        "crop yields: no reader yet (states, not counties)",
        lambda p, t: {"acres": Spec("acre"), "yield": Spec("bushel acre-1")},
        lambda t: np.unique(_years("year")(t)),
        separator="\t",
        ordered=False,
        keys=("year",),
    ),
    Known(
        "cardamom-fluxval",
        "CARDAMOM-FluxVal, monthly FLUXNET2015 observations",
        _starts("ID", "Date", "GPP", "NEE", "ET"),
        "monthly tower fluxes: no reader yet (the site table is daily)",
        lambda p, t: {"GPP": Spec("g C m-2 d-1"), "NEE": Spec("g C m-2 d-1"), "ET": Spec(units_from="")},
        _year_month("Date"),
        keys=("ID", "Date"),
        notes=(("warning", "unit-missing", "the unit of ET is stated nowhere (magnitudes are those of mm d-1)"),),
    ),
    Known(
        "modis-8day",
        "MODIS 8-day series at towers",
        lambda p, h: h[:1] == ["Date"] and len(h) > 20 and "MODIS" in p.name.upper(),
        "MODIS series at sites: no reader yet",
        _modis,
        _dates("Date", "%m/%d/%Y"),
        keys=("Date",),
        sites=True,
    ),
    Known(
        "srdb",
        "SRDB global soil respiration database",
        _holds("Record_number", "Rs_annual"),
        "SRDB: no reader yet",
        _srdb,
        ordered=False,
        position=("Latitude", "Longitude"),
        reader="srdb",
        keys=("Record_number", "Entry_date", "Study_number"),
    ),
    Known(
        "ch4-monthly-totals",
        "monthly totals of wetland CH4",
        lambda p, h: "timestep" in h and bool({"tg_month", "r_sum", "mean"} & set(h)),
        "CH4 totals: " + TOTALS,
        lambda p, t: {
            name: Spec("Tg CH4 month-1") for name in t.columns if name in ("tg_month", "r_sum", "mean", "sd")
        },
        ordered=False,
        keys=("timestep",),
        notes=NO_START,
    ),
    Known(
        "ch4-annual-totals",
        "annual totals of wetland CH4",
        _starts("Year", "mean", "sd", "ci"),
        "CH4 totals: " + TOTALS,
        lambda p, t: {name: Spec("Tg CH4 yr-1") for name in ("mean", "sd", "ci")},
        _years("Year"),
        keys=("Year",),
    ),
    Known(
        "metaflux-monthly",
        "MetaFlux, monthly FLUXNET2015 fluxes with drivers",
        _holds("TIMESTAMP", "Site", "Lat", "Lon", "NEE_VUT_REF"),
        "monthly tower fluxes in MetaFlux's own layout: no reader yet",
        _units(**TOWERS),
        _year_month("TIMESTAMP"),
        position=("Lat", "Lon"),
        keys=("Unnamed: 0", "TIMESTAMP", "Lat", "Lon"),
        notes=(("warning", "derived", "RECO is GPP_NT_VUT_REF + NEE_VUT_REF, not an estimate of its own"),),
    ),
    Known(
        "p-model-drivers",
        "daily drivers of the P-model at a tower (rsofun)",
        _holds("date", "temp", "vpd", "ppfd", "patm", "rain"),
        "daily tower drivers: no reader yet",
        _units(**P_MODEL),
        _dates("date"),
        keys=("date",),
    ),
    Known(
        "p-model-fluxes",
        "daily fluxes at a tower for the P-model (rsofun)",
        lambda p, h: h[:1] == ["date"] and "gpp" in h and bool({"le", "latenth"} & set(h)),
        "daily tower fluxes: no reader yet",
        _units(**P_MODEL),
        _dates("date"),
        keys=("date", "time"),
    ),
    Known(
        "tower-medians",
        "median annual fluxes by tower",
        _holds("site_id", "nep_median", "gpp_median"),
        "annual tower fluxes: no reader yet",
        _units(
            **dict.fromkeys(("nep_median", "gpp_median", "ter_median"), "g C m-2 yr-1"),
            et_median="mm yr-1",
            h_median="W m-2",
        ),
        ordered=False,
        position=("location_lat", "location_long"),
        keys=("location_lat", "location_long"),
    ),
    Known(
        "tower-scores",
        "scores of other models by tower (CarbonBench)",
        _holds("site", "R2", "RMSE", "target", "model"),
        "scores of other models: no reader yet",
        _units(RMSE="g C m-2 d-1"),
        ordered=False,
    ),
    Known(
        "ecostress-calval",
        "ECOSTRESS evapotranspiration beside towers",
        _holds("ID", "STICinst", "LEcorr50", "time_utc"),
        "latent heat at satellite overpasses: no reader yet",
        _units(**dict.fromkeys(("LE", "LE_filt", "LEcorr25", "LEcorr50", "LEcorr75", "LEcorr_ann"), "W m-2"), LST="K"),
        _dates("time_utc", "%Y-%m-%d %H:%M:%S"),
        ordered=False,
        keys=("Unnamed: 0",),
    ),
    Known(
        "ch4-soil-sink-totals",
        "soil sink of CH4 by region (Global Methane Budget)",
        _starts("period", "inversion", "region", "soil_sink_tg_yr"),
        "CH4 totals: " + TOTALS,
        _units(soil_sink_tg_yr="Tg CH4 yr-1"),
        ordered=False,
    ),
    Known(
        "county-yield",
        "CY-Bench, crop yields and features by county and year",
        lambda p, h: h[:2] == ["adm_id", "year"] and h[-1] == "yield",
        "crop yields: no reader yet",
        _units(**{"yield": "t ha-1"}),
        lambda t: np.unique(_years("year")(t)),
        ordered=False,
        keys=("year",),
    ),
    Known(
        "chamber-study",
        "gas fluxes of soil collars (COMPASS)",
        lambda p, h: h[:1] == ["Collar"] and bool({"FCH4", "FCH4_dry"} & set(h)),
        CHAMBERS,
        _units(
            **dict.fromkeys(("FCH4", "FCH4_dry"), "nmol m-2 s-1"),
            **dict.fromkeys(("FCO2", "FCO2_dry"), "umol m-2 s-1"),
            **dict.fromkeys(("SWC", "SWC_mean"), "m3 m-3"),
            **dict.fromkeys(("ts_2", "TS", "TA", "TS_mean", "TA_mean"), "degC"),
        ),
        ordered=False,
        keys=("Collar", "Rep", "Reps"),
    ),
    Known(
        "chamber-study",
        "gas fluxes of soil collars around trees",
        _holds("collar_id", "CH4_flux_umol_m-2_s-1"),
        CHAMBERS,
        _units(**{"CH4_flux_umol_m-2_s-1": "umol m-2 s-1", "soil_temp_C": "degC", "soil_moisture_vol": "m3 m-3"}),
        _dates("date"),
        ordered=False,
        keys=("tree_id", "year"),
    ),
    Known(
        "chamber-study",
        "gas fluxes of soil collars (EucFACE)",
        _holds("date", "ring", "collar", "ch4_ugC_m2_h"),
        CHAMBERS,
        _units(
            **dict.fromkeys(("ch4_ugC_m2_h", "ch4_mdf"), "ug C m-2 h-1"),
            **dict.fromkeys(("co2_mgC_m2_h", "co2_mdf"), "mg C m-2 h-1"),
            **dict.fromkeys(("n2o_ugN_m2_h", "n2o_mdf"), "ug N m-2 h-1"),
        ),
        _dates("date"),
        ordered=False,
        keys=("ring", "block", "collar"),
    ),
    Known(
        "chamber-study",
        "gas fluxes of soils in a park",
        _holds("Site_Number", "Date", "CH4_C", "Soil_WFPS"),
        CHAMBERS,
        _units(Soil_Moisture="m3 m-3", Soil_Temperature="degC"),
        _dates("Date"),
        ordered=False,
        position=("Latitude", "Longitude"),
        keys=("Site_Number", "Day_of_year", "Latitude", "Longitude"),
        notes=(("warning", "unit-missing", "the units of the fluxes are stated nowhere"),),
    ),
    Known(
        "uscrn-daily",
        "U.S. Climate Reference Network, daily",
        _starts("WBANNO", "LST_DATE", "CRX_VN", "LONGITUDE", "LATITUDE"),
        "stations of soil moisture and weather in NOAA's layout: no reader yet",
        lambda p, t: {
            str(name): Spec(
                "degC" if re.match("(T|SOIL_TEMP|SUR_TEMP)_", name) else "m3 m-3" if "MOISTURE" in name else ""
            )
            for name in t.columns
        },
        _dates("LST_DATE", "%Y%m%d"),
        position=("LATITUDE", "LONGITUDE"),
        keys=("WBANNO", "LST_DATE", "CRX_VN", "LATITUDE", "LONGITUDE"),
    ),
)
LEGENDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("id", "class"), "key of class codes"),
    (("Variable", "Units", "Description"), "code table of variables"),
    (("Predictor", "Class"), "list of predictors"),
    (("Table_name", "Field_name"), "units of database columns"),
    (("Field_number", "Field_name"), "list of database fields"),
    (("start_gpp", "end_gpp"), "years with complete data by site"),
    (("file", "sha256"), "manifest of files"),
    (("file", "repository"), "manifest of files"),
)
