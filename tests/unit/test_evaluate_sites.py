"""``fluxatlas evaluate-sites``: raw files of sites in, scores of trained members out; what is refused, and how."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import infer_world
import train_toy as toy
from fluxatlas import evaluate_sites
from fluxatlas.cli import main
from fluxatlas.evaluate_sites import _layouts, site_data
from fluxatlas.grid import get_grid
from fluxatlas.inspect.formats import sites
from fluxatlas.inspect.probe import Probe
from fluxatlas.systems import get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.sites import SiteData
from site_layouts import layouts

PLACES = {f"S{n}": (46.0 + 1.5 * n, 10.0 + 2 * n) for n in range(6)}
OWN = ["OldSite", 44.0, 5.0]
SOIL = {"sand": 40, "clay": 20, "soc": 20, "bdod": 1300, "phh2o": 6, "cropFrac": 0, "ndep": 5, "lai": 3}
DAYS = 60


def chambers(folder: Path, places: dict[str, tuple[float, float]] = PLACES, **changes: object) -> Path:
    """A chamber table: one measurement a day in nmol, uptake positive, with soil temperature and water."""
    days = pd.date_range("2003-05-01 12:00", periods=DAYS)
    rows = []
    for number, (site, (lat, lon)) in enumerate(places.items()):
        uptake = 0.5 + 0.2 * number + 0.1 * np.sin(np.arange(DAYS) / 7)
        rows.append(pd.DataFrame({
            "site": site, "lat": lat, "lon": lon, "elevation": 300, "igbp": "ENF",
            "datetime_utc": days.strftime("%Y-%m-%dT%H:%M:%SZ"), "flux": uptake, "flux_unit": "nmol CH4 m-2 s-1",
            "flux_sign": "uptake_positive", "flux_sd": 0.05, "soil_temperature": 10 + np.arange(DAYS) / 10,
            "soil_temperature_depth_cm": 5, "soil_temperature_unit": "degC", "soil_moisture": 0.25,
            "soil_moisture_depth_cm": 5, "soil_moisture_unit": "m3 m-3",
        }))  # fmt: skip
    table = pd.concat(rows).assign(**changes)
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / "chambers.csv", index=False)
    return folder / "chambers.csv"


def soils(path: Path, sites: list[str], **changes: object) -> Path:
    pd.DataFrame([{"site": site, **SOIL, **changes} for site in sites]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder ``train`` of a run with two members, which have seen one site."""
    folder = tmp_path_factory.mktemp("run") / "train"
    data = toy.samples(n=40, days=60)
    for seed in range(2):
        torch.manual_seed(seed)
        network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4, theta={"oxidation_rate": 3e-5 * (1 + seed)}))
        network.scaler.fit(data.values())
        Member(network, "4km", None, {"sites": [OWN]}).save(folder / "members" / f"{seed}.pt")
    return folder


def call(monkeypatch, *words: object, command: str = "evaluate-sites") -> int:
    monkeypatch.setattr(sys, "argv", ["fluxatlas", command, *map(str, words)])
    try:
        main()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


@pytest.fixture(scope="module")
def evaluated(run, tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("scores")
    files = chambers(folder / "files"), soils(folder / "soil.csv", list(PLACES))
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        options = ["--members", run, "--output", folder / "out", "--attributes", files[1]]
        assert call(patch, *options, files[0], files[0].parent) == 0  # the same file twice
    return folder / "out", said.getvalue()


def test_observations_are_those_of_the_file_and_all_models_predict_their_days(evaluated) -> None:
    days = pd.read_parquet(evaluated[0] / "predictions.parquet")
    assert set(days["split"]) == {"test"} and set(days["variable"]) == {"fch4"}
    counts = days.groupby(["model", "member"])["time"].size()
    assert counts.to_dict() == dict.fromkeys((("network", 0), ("network", 1), ("process", 0)), 6 * DAYS)
    mean = days[days["model"] == "process"].groupby("site")["observed"].mean()
    wave = 0.1 * np.sin(np.arange(DAYS) / 7).mean()
    for number, site in enumerate(PLACES):  # 1 nmol m-2 s-1 is 16.0425e-6 mg times 86400 s
        assert mean[site] == pytest.approx(-(0.5 + 0.2 * number + wave) * 16.0425e-6 * 86400, rel=1e-3)
    members = days[days["model"] == "network"].pivot_table(index=["site", "time"], columns="member", values="predicted")
    assert (members[0] != members[1]).all()


def test_scores_are_those_of_the_mean_of_the_members(evaluated) -> None:
    folder, said = evaluated
    days = pd.read_parquet(folder / "predictions.parquet")
    table = pd.read_csv(folder / "protocols.csv", keep_default_na=False)
    table[["value", "low"]] = table[["value", "low"]].apply(pd.to_numeric, errors="coerce")
    score = table[table["against"] == ""].set_index(["model", "protocol", "scale", "score"])["value"]
    for model in ("network", "process"):
        mean = days[days["model"] == model].groupby(["site", "time"])[["observed", "predicted"]].mean()
        error = ((mean["predicted"] - mean["observed"]) ** 2).groupby("site").mean().mean()
        spread = (mean["observed"] - mean["observed"].groupby("site").mean().mean()) ** 2
        expected = 1 - error / spread.groupby("site").mean().mean()
        assert score[model, "balanced", "daily", "r2"] == pytest.approx(expected, rel=1e-4)
        assert f"{expected:.2f} [" in said
    assert table.loc[table["protocol"] == "balanced", "low"].notna().all()  # six clusters: there are intervals
    assert "fch4 [mg m-2 d-1]: 6 sites in 6 clusters, 2 members; 90 % intervals" in said
    assert set(pd.read_csv(folder / "site_scores.csv")["site"]) == set(PLACES)
    assert set(pd.read_csv(folder / "sites.csv")["sand"]) == {40.0}
    assert (folder / "unseen.png").read_bytes()[:4] == b"\x89PNG"


def test_a_few_sites_have_no_interval_and_soil_comes_from_the_layers_of_a_run(run, tmp_path, monkeypatch, capsys):
    """The attributes of the cell that holds the site; another site lies outside of the tile and is named."""
    grid = get_grid("4km")
    tile = grid.tile("N36W122", 1)
    infer_world.write_attributes(tmp_path / "layers" / "N36W122.nc", tile)
    with infer_world.xr.open_dataset(tmp_path / "layers" / "N36W122.nc") as cells:
        row, column = np.argwhere(cells["active"].values == 1)[100]
        lat, lon, sand = float(cells["lat"][row]), float(cells["lon"][column]), float(cells["sand"][row, column])
    files = chambers(tmp_path / "files", {"Inside": (lat, lon), "Outside": (50.0, 10.0)})
    options = [
        "--members",
        run / "members" / "0.pt",
        "--static-layers",
        tmp_path / "layers",
        "--output",
        tmp_path / "o",
    ]
    assert call(monkeypatch, *options, files) == 0
    said = capsys.readouterr()
    assert "site Outside is left out: no sand, clay, soc" in said.err
    assert "1 site in 1 cluster, 1 member; fewer than 5 clusters: no intervals" in said.out
    table = pd.read_csv(tmp_path / "o" / "sites.csv").set_index("site")
    assert table.loc["Inside", "sand"] == pytest.approx(sand, rel=1e-5) and np.isnan(table.loc["Outside", "sand"])


def test_sites_in_the_domain_of_a_run_get_the_weather_of_its_grid(run, tmp_path, monkeypatch, capsys) -> None:
    """Chambers that measured no soil state: predicted with the weather of the run, else left out."""
    tile = get_grid("4km").tile("N36W122", 1)
    infer_world.write_attributes(tmp_path / "layers" / "N36W122.nc", tile)
    infer_world.write_piece(tmp_path / "forcing" / "N36W122" / "2003.nc", tile, 2003)
    files = chambers(tmp_path / "files", {"Inside": (36.4, -121.5), "Outside": (50.0, 10.0)}, soil_moisture=np.nan)
    soil = soils(tmp_path / "soil.csv", ["Inside", "Outside"])
    options = ["--members", run, "--static-layers", tmp_path / "layers", "--attributes", soil]
    options += ["--forcing", tmp_path / "forcing", "--output", tmp_path / "out", files]
    assert call(monkeypatch, *options) == 0
    assert "site Outside is left out: no meteorology and no swc05" in capsys.readouterr().err
    days = pd.read_parquet(tmp_path / "out" / "predictions.parquet").query("variable == 'fch4'")
    assert set(days["site"]) == {"Inside"} and days.groupby(["model", "member"]).size().eq(DAYS).all()
    (tmp_path / "forcing" / "N36W122" / "2003.nc").unlink()
    options[-2] = tmp_path / "again"
    assert call(monkeypatch, *options) == 1 and not (tmp_path / "again").exists()
    assert "no forcing of the tiles" in capsys.readouterr().err


def test_prediction_is_the_mean_of_the_members_with_its_band(run, evaluated, tmp_path, monkeypatch, capsys) -> None:
    """The same days as in the scores; the band is 1.645 standard uncertainties of the product wide to each side."""
    files, soil = chambers(tmp_path / "files"), soils(tmp_path / "soil.csv", list(PLACES))
    options = ["--members", run, "--output", tmp_path / "out", "--attributes", soil]
    assert call(monkeypatch, *options, files, command="predict") == 0
    assert f"S3: {DAYS} days, inside library but too few sites to judge" in capsys.readouterr().out
    series = pd.read_csv(tmp_path / "out" / "S3.csv", parse_dates=["time"]).set_index("time")
    days = pd.read_parquet(evaluated[0] / "predictions.parquet").query("model == 'network' and site == 'S3'")
    by_member = days.pivot_table(index="time", columns="member", values="predicted")
    assert (series.index == by_member.index).all()
    assert np.allclose(series["fch4"], by_member.mean(axis=1), rtol=1e-4)
    assert np.allclose(series["fch4_sd"], by_member.std(axis=1, ddof=1), rtol=1e-3)
    assert np.allclose(series["fch4_high"] - series["fch4_low"], 2 * 1.644854 * series["fch4_sd"], rtol=1e-3, atol=1e-6)
    assert np.allclose(series["fch4_observed"], days.groupby("time")["observed"].mean(), rtol=1e-4)
    assert np.allclose(series["swc05"], 0.25) and series["tsl05"].iloc[10] == pytest.approx(273.15 + 11, abs=0.01)
    places = pd.read_csv(tmp_path / "out" / "sites.csv").set_index("site")
    assert set(places.index) == set(PLACES) and places.loc["S3", "sand"] == 40
    assert (tmp_path / "out" / "S3.png").read_bytes()[:4] == b"\x89PNG"
    units = pd.read_csv(tmp_path / "out" / "units.csv").set_index("variable")["units"]
    assert units["fch4"] == "mg m-2 d-1" and set(units.index) >= {"tsl05", "ch4", "tas"}
    odd = chambers(tmp_path / "odd", {"a/b": (50.0, 10.0)})
    options = ["--members", run, "--output", tmp_path / "never", "--attributes", soils(tmp_path / "s.csv", ["a/b"])]
    assert call(monkeypatch, *options, odd, command="predict") == 1
    assert "'a/b' cannot be the name of a file" in capsys.readouterr().err and not (tmp_path / "never").exists()
    odd = chambers(tmp_path / "dollars", {"a$b^$": (50.0, 10.0)})  # no formula
    options = ["--members", run, "--output", tmp_path / "odd_out", "--attributes", soils(tmp_path / "d.csv", ["a$b^$"])]
    assert call(monkeypatch, *options, odd, command="predict") == 0 and (tmp_path / "odd_out" / "a$b^$.png").exists()
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    options[options.index(tmp_path / "odd_out")] = tmp_path / "out"
    assert call(monkeypatch, *options, odd, command="predict") == 1
    assert "holds predictions of other sites (S" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_what_measured_no_flux_is_predicted_by_its_soil_under_the_name_it_has(
    run, tmp_path, monkeypatch, capsys
) -> None:
    """Names of digits keep their zeros; a gap of the record is named; one member has no band, and says so."""
    table = pd.read_csv(chambers(tmp_path / "files", {"007": (50.0, 10.0)}), dtype={"site": str})
    table.loc[20:39, ["soil_temperature", "soil_moisture"]] = np.nan
    table.assign(flux=np.nan).to_csv(tmp_path / "files" / "chambers.csv", index=False)
    soil = soils(tmp_path / "s.csv", ["007"])
    options = ["--members", run / "members" / "0.pt", "--attributes", soil, "--output", tmp_path / "out"]
    assert call(monkeypatch, *options, tmp_path / "files", command="predict") == 0
    said = capsys.readouterr()
    assert "007: 40 days" in said.out and "1 gap in its days" in said.err and "2003-06-10" in said.err
    assert "warning: one member: there is no band" in said.err
    series = pd.read_csv(tmp_path / "out" / "007.csv")
    assert len(series) == 40 and "fch4_observed" not in series and series["fch4_low"].isna().all()


@pytest.mark.parametrize("command", ["predict", "evaluate-sites"])
def test_an_output_that_is_a_file_is_refused_before_any_work(run, tmp_path, monkeypatch, capsys, command) -> None:
    (tmp_path / "taken").write_text("mine")
    for place in (tmp_path / "taken", tmp_path / "taken" / "below"):
        assert call(monkeypatch, "--members", run, "--output", place, tmp_path / "none.csv", command=command) == 1
        assert "this is a file, not a folder" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("name", ["OldSite", "NewName"])
def test_sites_of_the_members_are_left_out_by_name_and_by_place(run, tmp_path, monkeypatch, capsys, name) -> None:
    place = (60.0, 20.0) if name == "OldSite" else (44.001, 5.001)
    near = {"Near": (44.5, 5.0), **PLACES}
    files = chambers(tmp_path / "files", {**near, name: place})
    soil = soils(tmp_path / "soil.csv", [*near, name])
    options = ["--members", run, "--attributes", soil, "--output", tmp_path / "out"]
    assert call(monkeypatch, *options, files) == 0
    said = capsys.readouterr().err
    assert f"left out, the members were trained on them: {name}" in said
    assert "Near: within 100 km of a site that the members were trained on" in said
    assert name not in set(pd.read_parquet(tmp_path / "out" / "predictions.parquet")["site"])
    alone = chambers(tmp_path / "alone", {name: place})
    options[-1] = tmp_path / "again"
    assert call(monkeypatch, *options, alone) == 1
    said = capsys.readouterr().err
    assert f"trained on all of these sites: {name}" in said and "--allow-seen" in said
    assert not (tmp_path / "again").exists()
    assert call(monkeypatch, *options, "--allow-seen", alone) == 0
    assert f"trained on {name}: their scores are not those of unseen sites" in capsys.readouterr().err
    assert set(pd.read_parquet(tmp_path / "again" / "predictions.parquet")["site"]) == {name}
    assert not (tmp_path / "again" / "unseen.png").exists()  # whose title would not be true


def test_every_layout_of_sites_is_told_by_its_files(tmp_path) -> None:
    """As ``source`` would say it; companions of a folder go along. Annual and monthly records are no days."""
    told = {}
    for name, layout in layouts().items():
        folder = tmp_path / name
        for file, data in layout.files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        if layout.source == "srdb":
            continue
        found = list(_layouts(folder))
        told[name] = {source for _, source, _ in found} == {layout.source}
    assert len(told) > 12 and all(told.values()), told


def test_a_tower_of_one_quantity_is_known_by_its_name(tmp_path) -> None:
    text = "TIMESTAMP,NEE_VUT_REF\n20010101,0.5\n"
    for name, source in (("FLX_XX-B01_FLUXNET2015_FULLSET_DD_2001-2001_1-1.csv", "fluxnet"), ("other.csv", "")):
        (tmp_path / name).write_text(text)
        assert sites.layout_of(Probe(tmp_path / name)) == source


def _text(folder: Path) -> list[object]:
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    return [folder / "notes.csv"]


def _empty(folder: Path) -> list[object]:
    (folder / "empty").mkdir()
    return [folder / "empty"]


def _without_soil(folder: Path) -> list[object]:
    return ["--attributes", soils(folder / "soil.csv", list(PLACES)), chambers(folder, soil_moisture=np.nan)]


def _no_position(folder: Path) -> list[object]:
    layout = layouts()["stdfmt"]
    (folder / layout.target).write_bytes(layout.files[layout.target])
    return [folder / layout.target]


BAD: dict[str, tuple[Callable[[Path], list[object]], str, str]] = {
    "absent file": (lambda folder: [folder / "x.csv"], "file not found", "check the path"),
    "no site file": (_text, "this is not a file with days of sites", "fluxatlas inspect"),
    "empty folder": (_empty, "the folder holds no file with days of sites", "docs/sites.md"),
    "no attributes": (lambda folder: [chambers(folder)], "no sand, clay, soc", "--attributes (site, sand"),
    "other names": (
        lambda folder: ["--attributes", soils(folder / "s.csv", ["S_0"]), chambers(folder)],
        "of site 'S0'; did you mean 'S_0'?; 5 other sites too",
        "--static-layers",
    ),
    "wrong soil": (
        lambda folder: ["--attributes", soils(folder / "s.csv", list(PLACES), sand=90, clay=90), chambers(folder)],
        "sand",
        "",
    ),
    "no sand": (
        lambda folder: ["--attributes", soils(folder / "s.csv", list(PLACES), sand=np.nan), chambers(folder)],
        "no sand of site 'S0'; 5 other sites too",
        "",
    ),
    "no soil water": (_without_soil, "no site can be predicted", "what each lacks"),
    "no position": (_no_position, "no coordinates for site", "--metadata"),
    "absent table": (lambda folder: ["--attributes", folder / "x.csv", chambers(folder)], "x.csv", ""),
    "no layers": (lambda f: ["--static-layers", f, chambers(f)], "no attributes of tiles", "regrid/attributes"),
    "forcing alone": (lambda f: ["--forcing", f, chambers(f)], "--forcing without --static-layers", "attributes"),
    "series": (
        lambda folder: ["--series", "co2=x.csv", chambers(folder)],
        "not a series of this system",
        "it takes: ch4",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_and_nothing_is_written(run, tmp_path, monkeypatch, capsys, name: str) -> None:
    make, what, hint = BAD[name]
    assert call(monkeypatch, "--members", run, "--output", tmp_path / "out", *make(tmp_path)) == 1
    said = capsys.readouterr().err
    assert what in said and hint in said and said.count("error: ") == 1
    assert not (tmp_path / "out").exists()


def test_weather_and_soil_without_fluxes_are_nothing_to_compare(run, tmp_path, monkeypatch, capsys) -> None:
    def emptied(*given: object) -> SiteData:
        data = site_data(*given)  # type: ignore[arg-type]
        return replace(
            data, sets=tuple(part.observed(lambda _, values: np.full_like(values, np.nan)) for part in data.sets)
        )

    monkeypatch.setattr(evaluate_sites, "site_data", emptied)
    options = ["--members", run, "--attributes", soils(tmp_path / "s.csv", list(PLACES)), "--output", tmp_path / "out"]
    assert call(monkeypatch, *options, chambers(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "no site has a day with weather and a value of fch4" in said and "chambers.csv" in said
    assert said.count("error: ") == 1 and not (tmp_path / "out").exists()


def test_what_are_no_members_is_refused(run, tmp_path, monkeypatch, capsys) -> None:
    files = chambers(tmp_path / "files")
    (tmp_path / "bad.pt").write_bytes(b"no member")
    other = HierarchicalNetwork(get_system("toy_system:TOY"), Architecture(hidden=4))
    Member(other, "4km").save(tmp_path / "toy.pt")
    for members, what in (
        ([tmp_path / "files"], "the folder holds no members"),
        ([tmp_path / "none.pt"], "file not found"),
        ([tmp_path / "bad.pt"], "not a member file"),
        ([run, tmp_path / "toy.pt"], "the member is of system 'toy_system:TOY'"),
    ):
        options = [word for path in members for word in ("--members", path)]
        assert call(monkeypatch, *options, "--output", tmp_path / "out", files) == 1
        assert what in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_real_chamber_data_set(run, data_dir, tmp_path, monkeypatch, capsys) -> None:
    """COSORE, Howland: the site's soil is carried with fluxatlas, the soil state is the data set's own."""
    folder = data_dir / "soil_ch4" / "bpbond_cosore" / "d20190610_SIHI_H2"
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    assert call(monkeypatch, "--members", run, "--output", tmp_path / "out", folder) == 0
    days = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert set(days["site"]) == {folder.name} and days.groupby("model")["time"].nunique().nunique() == 1
    process = days[(days["model"] == "process") & (days["variable"] == "fch4")]
    assert len(process) > 100 and process["predicted"].between(-10, 0.5).all() and process["observed"].mean() < 0
    assert "1 site in 1 cluster" in capsys.readouterr().out
