"""Site-years per second and core of the crop carbon model, beside a NumPy loop of the same formulas in the same run.

    python benchmarks/crop.py [--cells 512] [--years 4] [--repeats 3] [--write]

*Crop*: plant and soil carbon on given soil temperature and water. *Field*: with the column of heat and water, one pass.
The prototype of the science notes (plain Python over one site at a time) made 50 site-years per second with its own
bucket of water; at least 20 times that is asked for. The NumPy loop goes through the days with arrays of all cells, has
one crop in every cell (maize) and no management, so that it does less than the kernel. One thread, processor time.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import crop_cases as cases  # noqa: E402
from fluxatlas.process.crop import canopy, soil  # noqa: E402
from fluxatlas.process.crop.crops import MAIZE, STEPS, tables  # noqa: E402
from fluxatlas.process.crop.field import TABLE, CropStructure, FieldResult, grow, simulate  # noqa: E402
from fluxatlas.process.evapotranspiration import vapour_pressure  # noqa: E402

RESULT = Path(__file__).parent / "results" / "crop.md"
PROTOTYPE, ASKED = 50.0, 20.0


def numpy_loop(drivers: dict[str, np.ndarray], found: FieldResult) -> np.ndarray:
    """Respiration of the soil and growth of maize day by day with NumPy, from the kernel's own leaf area and stages."""
    p, rows = TABLE.defaults(), tables()[0]
    days, n = drivers["tas"].shape
    pools = {name: np.full(n, 500.0) for name in ("metabolic", "structural", "dpm", "rpm", "bio", "hum")}
    plant = {name: np.full(n, 5.0) for name in ("leaf", "stem", "root", "grain", "dead")}
    rates = {"metabolic": 10.0, "structural": 0.6, "dpm": 10.0, "rpm": 0.3, "bio": 0.66, "hum": 0.02}
    made = np.empty((days, n))
    for day in range(days):
        f = {name: values[day].astype(float) for name, values in drivers.items()}
        celsius, stage, lai = f["tas"] - 273.15, found["stage"][day], found["lai"][day]
        warm = canopy.daytime(f["tasmin"], f["tasmax"]) - 273.15
        vpd = canopy.deficit(warm, vapour_pressure(f["huss"], f["ps"]))
        a, b, c = (np.clip((f[name] - 0.2) / 0.17, 0, 1) for name in ("swc05", "swc15", "swc45"))
        top, deep = (a + 2 * b) / 3, (a + 2 * b + 9 * c) / 12
        water = canopy.water_response(top, deep)
        at = np.minimum((stage * STEPS / 2).astype(int), STEPS)
        share = stage * STEPS / 2 - at
        fr, fl, fs, age, _ = rows[:, at] + share * (rows[:, at + 1] - rows[:, at])
        gpp = p["maize_light_use"] * canopy.absorbed(f["rsds"], lai, p["extinction"]) * age * water
        gpp *= canopy.warmth_response(warm, *MAIZE.warmth) * canopy.frost_response(f["tasmin"] - 273.15)
        gpp *= canopy.dryness_response(vpd, p["maize_vpd_start"], p["maize_vpd_end"])
        gpp *= canopy.carbon_dioxide_response(f["co2"], 0.0) * canopy.cloud_response(f["rsds"], 400.0)
        living = sum(m * plant[o] for m, o in zip(MAIZE.maintenance, ("leaf", "stem", "root", "grain"), strict=True))
        needed = (1 - 1.5 * np.clip(stage - 1.5, 0, 0.5)) * 2 ** ((celsius - 25) / 10) * living
        available = np.maximum(gpp - needed, 0.0)
        lacking = np.maximum(needed - gpp, 0.0)
        from_stem = np.minimum(0.9 * plant["stem"], lacking)
        from_leaf = np.minimum(0.5 * plant["leaf"], lacking - from_stem)
        parts = (available * (1 - fr) * fl, available * (1 - fr) * fs, available * fr)
        grain = np.maximum(available - sum(parts), 0.0)
        growth = sum(part * (1 - y) for part, y in zip((*parts, grain), MAIZE.efficiency, strict=True))
        pace = canopy.thermal_time(celsius, p["maize_base_temperature"]) / p["maize_maturity_sum"]
        dying = canopy.leaf_death(stage, pace, lai, water, 0.0)
        leaf = plant["leaf"] - from_leaf + 0.78 * parts[0]
        stem = plant["stem"] - from_stem + 0.8 * parts[1]
        moved = np.where(stage >= 1, 0.15 * pace, 0.0) * stem
        shed = p["root_turnover"] * 2 ** ((f["tsl15"] - 293.15) / 10)
        root = plant["root"] + 0.8 * parts[2]
        plant = {
            "leaf": leaf - dying * leaf,
            "stem": stem - moved,
            "root": root - shed * root,
            "grain": plant["grain"] + 0.8 * (grain + moved),
            "dead": plant["dead"] + dying * leaf,
        }
        ra = np.where(lacking > 0, gpp + from_stem + from_leaf, needed) + growth + 0.2 * moved
        wet = soil.moisture(top, 0.0)
        ground = soil.warmth(f["tsl15"] - 273.15, 0, 0.0) * wet
        above = soil.warmth(f["tsl05"] - 273.15, 0, 0.0) * wet * 0.35
        gone = {
            name: soil.lost(pools[name], rate, above if name in ("metabolic", "structural") else ground)
            for name, rate in rates.items()
        }
        whole = sum(gone.values())
        rh = soil.respired(25.0) * whole
        for name, loss in gone.items():
            pools[name] = pools[name] - loss
        pools["dpm"] = pools["dpm"] + 0.59 * shed * root
        pools["rpm"] = pools["rpm"] + 0.41 * shed * root
        pools["bio"] = pools["bio"] + 0.46 * (whole - rh)
        pools["hum"] = pools["hum"] + 0.54 * (whole - rh)
        made[day] = ra + rh - gpp
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=512)
    parser.add_argument("--years", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    n = options.cells
    lat = np.full(n, 40.0)
    forcing, dates = cases.weather(lat, options.years, 11.0, 14.0, 1040.0)
    given = {"lat": lat, "dates": dates, "structure": CropStructure(rotation="maize")}
    ground = simulate(forcing, cases.soils(n), {}, passes=1, **given)  # compiles
    drivers = {**forcing, **{k: ground[k].astype(np.float32) for k in ("tsl05", "tsl15", "swc05", "swc15", "swc45")}}
    runs = {
        "crop (kernel)": lambda: grow(drivers, cases.soils(n), {}, **given),
        "field (kernel, with heat and water)": lambda: simulate(forcing, cases.soils(n), {}, passes=1, **given),
        "crop (NumPy loop)": lambda: numpy_loop(drivers, ground),
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(options.repeats):
        for name, call in runs.items():
            begin = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - begin)
    rates = {name: n * options.years / spent for name, spent in best.items()}
    text = table(rates, options)
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    for name in list(runs)[:2]:
        assert rates[name] > ASKED * PROTOTYPE, f"{name} makes {rates[name]:.0f} site-years per second"
    assert rates["crop (kernel)"] > rates["crop (NumPy loop)"]


def table(rates: dict[str, float], options: argparse.Namespace) -> str:
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = [f"| {name} | {rate:,.0f} | {rate / PROTOTYPE:.0f} |" for name, rate in rates.items()]
    return "\n".join(
        [
            "# Speed of the crop carbon model",
            "",
            f"This tree ({commit}); site-years per second of processor time on one thread, {options.cells} cells,",
            f"{options.years} years, best of {options.repeats} in turn. NumPy {np.__version__}, Python",
            f"{platform.python_version()}; the machine was shared. Made by `python benchmarks/crop.py --write`.",
            "",
            "| run | site-years per second | over the prototype's 50 |",
            "|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
