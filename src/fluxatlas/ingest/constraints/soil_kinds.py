"""The formats of soil moisture: variables, flags, uncertainty, layers. Tags as in :mod:`.kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import InputError, nearest

MISSING = -9999
"""Code of missing values that these files keep inside the data, declared or not [V]."""


@dataclass(frozen=True)
class SoilMoistureKind:
    """One format: raw variables of each canonical one, their flags (0 is good) and uncertainty, and their layer.

    A name with a slash lies in an HDF5 group. ``thickness`` [m] turns a mass of water per area (kg m-2) into a volume
    fraction; ``depth``: the layer, for the record; ``keep_bits`` of a flag do not reject; ``per_day``: steps of a day
    where a file holds one step (0: one); ``ease``: on EASE-Grid 2.0; ``names`` as in the kinds of inversions.
    """

    title: str
    citation: str
    variables: Mapping[str, tuple[str, ...]]
    depth: Mapping[str, str]
    flags: tuple[str, ...] = ()
    uncertainty: tuple[str, ...] = ()
    thickness: Mapping[str, float] = field(default_factory=dict)
    keep_bits: int = 0
    per_day: int = 0
    ease: bool = False
    names: tuple[str, ...] = ()


_AM, _PM = "Soil_Moisture_Retrieval_Data_AM", "Soil_Moisture_Retrieval_Data_PM"

SOIL_KINDS: dict[str, SoilMoistureKind] = {
    # names, units, flag bits, -9999 [V: real files over Hawaii]; ACTIVE in percent of saturation [V]
    "esa_cci": SoilMoistureKind(
        "ESA CCI / C3S soil moisture",
        "Dorigo et al. (2017), doi:10.1016/j.rse.2017.07.001",
        {"swc05": ("sm",)},
        {"swc05": "about 0-5 cm"},
        flags=("flag",),
        uncertainty=("sm_uncertainty",),
        names=("esacci", "esa cci", "c3s-soilmoisture", "c3s", "cci"),
    ),
    # groups, names, fill -9999 and 65534, bit 0 = not recommended [V]
    "smap": SoilMoistureKind(
        "SMAP L3 radiometer soil moisture (SPL3SMP, SPL3SMP_E)",
        "Entekhabi et al. (2010), doi:10.1109/JPROC.2010.2043918",
        {
            "swc05": (
                f"{_AM}/soil_moisture",
                f"{_PM}/soil_moisture_pm",
                "soil_moisture_pm",
                "soil_moisture_am",
                "soil_moisture",
            )
        },
        {"swc05": "0-5 cm"},
        flags=("retrieval_qual_flag_pm", "retrieval_qual_flag_am", "retrieval_qual_flag"),
        uncertainty=("soil_moisture_error_pm", "soil_moisture_error_am", "soil_moisture_error"),
        keep_bits=0b1110,  # bit 0: retrieval not recommended; the other bits say how it was made
        ease=True,
    ),
    # group, names, x and y, file names [V]; 3-hourly means, no flag [V]
    "smap_l4": SoilMoistureKind(
        "SMAP L4 soil moisture (SPL4SMGP)",
        "Reichle et al. (2019), doi:10.1029/2019MS001729",
        {"swc05": ("Geophysical_Data/sm_surface",)},
        {"swc05": "0-5 cm"},
        per_day=8,
        ease=True,
    ),
    # names, unit [V: real files]; layers [V]
    "era5_land": SoilMoistureKind(
        "ERA5 / ERA5-Land soil layers",
        "Muñoz-Sabater et al. (2021), doi:10.5194/essd-13-4349-2021",
        {"swc05": ("swvl1",), "swc15": ("swvl2",), "swc45": ("swvl3",)},
        {"swc05": "0-7 cm", "swc15": "7-28 cm", "swc45": "28-100 cm"},
    ),
    # names, unit [V: real files]; layers [V]
    "gldas": SoilMoistureKind(
        "GLDAS Noah soil layers",
        "Rodell et al. (2004), doi:10.1175/BAMS-85-3-381",
        {"swc05": ("SoilMoi0_10cm_inst",), "swc15": ("SoilMoi10_40cm_inst",), "swc45": ("SoilMoi40_100cm_inst",)},
        {"swc05": "0-10 cm", "swc15": "10-40 cm", "swc45": "40-100 cm"},
        thickness={"SoilMoi0_10cm_inst": 0.1, "SoilMoi10_40cm_inst": 0.3, "SoilMoi40_100cm_inst": 0.6},
        per_day=8,
    ),
    # contiguous ragged cell files, percent of saturation, flags [R]
    "ascat": SoilMoistureKind(
        "ASCAT surface soil moisture (H SAF), cell files",
        "Wagner et al. (2013), doi:10.1127/0941-2948/2013/0399",
        {"swc05": ("sm", "surface_soil_moisture", "ssm")},
        {"swc05": "about 0-2 cm"},
        flags=("conf_flag", "confidence_flag"),
        uncertainty=("sm_noise", "surface_soil_moisture_noise", "ssm_noise"),
        names=("ascat", "metop", "h-saf", "hsaf"),
    ),
}


def soil_kind(kind: str) -> SoilMoistureKind:
    """The facts on ``kind``; raises :class:`InputError` with the nearest name for an unknown one."""
    if kind not in SOIL_KINDS:
        raise InputError(
            f"unknown kind of soil moisture '{kind}'{nearest(kind, SOIL_KINDS)}", hint=f"one of {', '.join(SOIL_KINDS)}"
        )
    return SOIL_KINDS[kind]
