"""Figures: each is drawn from files as the stages write them, shows what it must, and says what it lacks."""

import base64
import dataclasses
import re
from itertools import pairwise
from typing import get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.report import FigureName, ReportBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.evaluate.skill import write_skill
from fluxatlas.evaluate.towers import write_towers
from fluxatlas.evaluate.truth import write_truth_scores
from fluxatlas.evaluate.unseen import write_unseen
from fluxatlas.paths import REPOSITORY
from fluxatlas.products.budget import write_budget
from fluxatlas.products.daily import write_daily
from fluxatlas.report import budget, maps, responses, series, training
from fluxatlas.report.catalogue import FIGURES, KINDS, PICTURES, Inputs, figure_row
from fluxatlas.report.figures import write_figure
from fluxatlas.report.summary import write_summary
from fluxatlas.style import MODEL_NAMES, house_style, model_color, model_marker, number
from fluxatlas.systems import get_system
from report_cases import SMALL, SYSTEM, drawn, labels_inside
from stage_files import (
    make_world,
    write_forcing,
    write_history,
    write_observations,
    write_predictions,
    write_region_months,
    write_responses,
    write_truth,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("report"), years=(2001,))


@pytest.fixture(scope="module")
def inputs(world):
    root, daily = world.root, {}
    for variable in ("ch4ox", "tsl05", "swc05"):
        daily[variable] = root / "products" / "daily" / f"{variable}_2001.nc"
        write_daily(daily[variable], variable, 2001, world.flux, world.attributes, system="soil_methane_sink")
    write_budget(root / "budget.csv", world.flux, world.attributes, system=SYSTEM)
    predictions = write_predictions(world, root / "train", sites=8)
    write_skill(root / "skill.csv", predictions)
    places = root / "places.csv"
    pd.DataFrame({"site": [f"site-{n:02d}" for n in range(8)], "lat": 40, "lon": np.arange(8) * 5}).to_csv(places)
    write_unseen(root / "protocols.csv", root / "site_scores.csv", root / "coverage.csv", predictions, places)
    soil = [daily["tsl05"], daily["swc05"]]
    write_towers(root / "towers.csv", soil, *write_observations(world, root / "sites", soil))
    changes, attribution = write_responses(world, root)
    return Inputs(
        system="soil_methane_sink",
        flux=world.flux,
        attributes=world.attributes,
        responses=[changes],
        attribution=[attribution],
        forcing=write_forcing(world, root / "forcing", resolution=1.0),
        truth=[write_truth(world, root / "truth.nc")],
        daily=[daily["ch4ox"]],
        predictions=predictions,
        skill=[root / "skill.csv"],
        protocols=[root / "protocols.csv"],
        history=write_history(world, root / "history", epochs=6),
        budget=[root / "budget.csv"],
        region_months=[write_region_months(root / "region_months.csv")],
        towers=[root / "towers.parquet"],
    )


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", [*FIGURES, *PICTURES])
def test_every_figure_is_drawn_and_not_empty(name, inputs, tmp_path) -> None:
    write_figure(name, inputs, tmp_path / f"{name}.png", SMALL)
    with Image.open(tmp_path / f"{name}.png") as image:
        assert 180 <= image.width <= 432 and image.height > 100
        assert len(np.unique(np.asarray(image.convert("L")))) > 30


def test_the_catalogue_the_configuration_and_the_captions_agree() -> None:
    assert tuple(FIGURES) and set(FIGURES) == set(get_args(FigureName))
    for name, row in FIGURES.items():
        assert set(row.reads) <= set(KINDS)
        caption = (REPOSITORY / "workflow" / "report" / f"{name}.rst").read_text(encoding="utf-8")
        assert caption.startswith("**") and len(caption) > 80


def test_the_budget_names_the_domain_and_leaves_out_totals_that_are_not_published(
    inputs, tmp_path, monkeypatch
) -> None:
    table = pd.read_csv(inputs.budget[0]).replace({"region": {"domain": "Walnut Gulch"}})
    table.to_csv(tmp_path / "budget.csv", index=False)
    figure = drawn("budget", Inputs(system="soil_methane_sink", budget=[tmp_path / "budget.csv"]))
    assert len(figure.axes) == 3 and figure.axes[0].get_title(loc="left") == "(a) Walnut Gulch by year"
    monkeypatch.setattr(budget, "get_system", lambda name: dataclasses.replace(get_system(name), published=()))
    assert len(drawn("budget", Inputs(system="soil_methane_sink", budget=[tmp_path / "budget.csv"])).axes) == 2
    for column in ("mean", "low", "high"):  # a flux that is negative, over many years
        table[column] *= -1
    pd.concat([table.assign(year=year) for year in range(1990, 2002)]).to_csv(tmp_path / "sink.csv", index=False)
    figure = drawn("budget", Inputs(system="soil_methane_sink", budget=[tmp_path / "sink.csv"]))
    lowest, highest = figure.axes[0].get_ylim()
    assert lowest < figure.axes[0].lines[0].get_ydata().min() and highest >= 0


def test_published_sinks_and_a_first_flux_without_a_budget_are_drawn(inputs, tmp_path, monkeypatch) -> None:
    system = get_system("soil_methane_sink")
    sinks = tuple(dataclasses.replace(one, low=-one.high, high=-one.low) for one in system.published)
    first = dataclasses.replace(system.fluxes[0], budget_unit=None)
    changed = dataclasses.replace(system, published=sinks, fluxes=(first, *system.fluxes[1:]), shown=first.variable)
    assert changed.budgeted_flux.variable == "ch4ox"
    monkeypatch.setattr(budget, "get_system", lambda name: changed)
    figure = drawn("budget", Inputs(system="soil_methane_sink", budget=inputs.budget))
    left, right = figure.axes[2].get_xlim()
    assert left < min(one.low for one in sinks) and right > 0
    silent = dataclasses.replace(system, fluxes=(first,), shown="")
    with pytest.raises(ConfigError, match="no flux of soil_methane_sink has a budget"):
        _ = silent.budgeted_flux


def test_a_plotting_option_changes_the_picture(inputs, tmp_path) -> None:
    write_figure("flux_map", inputs, tmp_path / "a.png", SMALL)
    write_figure("flux_map", inputs, tmp_path / "b.png", ReportBlock(dpi=60, colormap="magma"))
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "ab")
    assert first.shape == second.shape and (first != second).any()


def test_the_map_shows_the_mean_of_the_members_where_cells_are_active(world, inputs) -> None:
    with house_style(SMALL):
        figure = maps.flux_map(inputs, SMALL)
    mesh = figure.axes[0].collections[1]
    shown = np.ma.filled(mesh.get_array(), np.nan)
    np.testing.assert_allclose(shown, world.annual["ch4ox", 2001].mean(axis=0), rtol=1e-6)


def test_the_seasonal_cycle_is_the_area_weighted_mean(world, inputs) -> None:
    with house_style(SMALL):
        figure = series.seasonal_cycle(inputs, ReportBlock(bands=2))
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 365]
    assert len(lines) == 2
    for line, band in zip(lines, (slice(0, 20), slice(20, 40)), strict=True):
        mean = np.nansum(world.annual["ch4ox", 2001].mean(axis=0)[band] * world.area[band]) / world.area[band].sum()
        np.testing.assert_allclose(line.get_ydata().mean(), mean, rtol=1e-3)


def test_overlapping_pieces_are_averaged_on_their_own_grid(world, tmp_path) -> None:
    paths = write_forcing(world, tmp_path)
    means: dict[tuple[float, float], list[float]] = {}
    for path in paths:
        with xr.open_dataset(path) as piece:
            tas = piece["tas"].astype(float).mean("time") - 273.15
            for y in piece["lat"].values:
                for x in piece["lon"].values:
                    means.setdefault((round(float(y), 4), round(float(x), 4)), []).append(float(tas.sel(lat=y, lon=x)))
    assert max(map(len, means.values())) > 1  # halos overlap
    lats, lons, values = maps._mean_of_pieces(paths)
    assert lats.tolist() == sorted({y for y, _ in means}, reverse=True) and lons.tolist() == sorted(
        {x for _, x in means}
    )
    expected = [[np.mean(means.get((y, x), [np.nan])) for x in lons.tolist()] for y in lats.tolist()]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_the_seasonal_cycle_never_averages_two_variables(world, inputs, tmp_path) -> None:
    other = tmp_path / "fch4_2001.nc"
    write_daily(other, "fch4", 2001, world.flux, world.attributes, system="soil_methane_sink")
    lines = []
    for files in (inputs.daily, [other, *inputs.daily]):
        with house_style(SMALL):
            figure = series.seasonal_cycle(Inputs(system="soil_methane_sink", daily=files), SMALL)
        assert "uptake" in figure.axes[0].get_ylabel()
        lines.append(np.array([line.get_ydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 365]))
    np.testing.assert_array_equal(*lines)


@pytest.mark.parametrize("name", [*FIGURES, *PICTURES])
def test_no_text_is_cut_off_at_the_edge(name, inputs) -> None:
    with house_style(SMALL):
        figure = figure_row(name).function()(inputs, SMALL)
        figure.canvas.draw()
        box, edge = figure.get_tightbbox(), figure.bbox_inches
        plt.close(figure)
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < edge.x1 + 0.02 and box.y1 < edge.y1 + 0.02


def test_labels_of_many_targets_do_not_overlap(inputs, tmp_path) -> None:
    """Seven targets and four models, as in the embedded default; one model is scored on fewer days."""
    rows = pd.read_csv(inputs.skill[0]).query("member == 'all' and split == 'test'").iloc[:1]
    targets = [f"{kind}{depth}" for kind in ("tsl", "swc") for depth in ("05", "15", "45")]
    table = pd.concat(
        rows.assign(model=model, target=target, n=90 if (model, target) == ("trees", "swc15") else 100)
        for model in ("network", "network_no_pretraining", "trees", "process")
        for target in ("fch4", *targets)
    )
    table.to_csv(tmp_path / "skill.csv", index=False)
    with house_style(SMALL):
        figure = figure_row("skill").function()(
            Inputs(system="soil_methane_sink", skill=[tmp_path / "skill.csv"]), SMALL
        )
        figure.canvas.draw()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) == 7 and all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    assert sum("*" in text.get_text() for text in figure.axes[0].texts) == 1


def test_published_totals_are_shown_and_the_run_beside_them_only_for_most_of_the_land(inputs, tmp_path) -> None:
    table = pd.read_csv(inputs.budget[0])
    table["area_m2"] *= 1e14 / table.loc[table.region_kind == "global", "area_m2"].iloc[0]
    table.to_csv(tmp_path / "large.csv", index=False)
    for path, there in ((inputs.budget[0], False), (tmp_path / "large.csv", True)):
        with house_style(SMALL):
            figure = budget.budget(Inputs(system="soil_methane_sink", budget=[path]), SMALL)
        labels = [text.get_text() for text in figure.axes[2].get_yticklabels()]
        assert "Curry 2007" in labels and ("this run" in labels) == there


def test_loss_curves_show_every_term_and_refuse_other_files(world, inputs, tmp_path) -> None:
    with house_style(SMALL):
        figure = training.loss_curves(inputs, SMALL)
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert shown == {"thermal", "hydrology", "fch4", "temperature", "moisture", "diffusion limit"}
    with pytest.raises(InputError, match="not a history"):
        training.loss_curves(Inputs(system="soil_methane_sink", history=[tmp_path / "other.csv"]), SMALL)
    (tmp_path / "0_pretrain.csv").write_text("phase,epoch,total\n")
    with pytest.raises(InputError, match="no epoch"):
        training.loss_curves(Inputs(system="soil_methane_sink", history=[tmp_path / "0_pretrain.csv"]), SMALL)


def test_a_loss_within_a_decade_has_numbers_on_its_axis(tmp_path) -> None:
    table = pd.DataFrame({"phase": "all", "epoch": [0, 1], "total": [0.41, 0.29], "validation": [0.44, 0.27]})
    table.to_csv(tmp_path / "0_pretrain.csv", index=False)
    with house_style(SMALL):
        figure = training.loss_curves(Inputs(system="soil_methane_sink", history=[tmp_path / "0_pretrain.csv"]), SMALL)
        figure.canvas.draw()
    shown = [float(label.get_text()) for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert sum(0.25 < value < 0.46 for value in shown) > 1


def test_inputs_are_called_by_their_names(inputs) -> None:
    with house_style(SMALL):
        panels, bars = responses.responses(inputs, SMALL), responses.attribution(inputs, SMALL)
    titles = {axis.get_title(loc="left") or axis.get_title() for axis in panels.axes}
    assert {"temperatures", "precipitation", "leaf area index"} <= titles
    labels = {label.get_text().replace("\n", " ") for label in bars.axes[0].get_yticklabels()}
    assert labels == {
        "near-surface air temperature", "precipitation", "soil organic carbon content of fine earth", "(not attributed)"
    }  # fmt: skip


def test_towers_outside_the_domain_leave_a_sentence(inputs, tmp_path) -> None:
    pd.read_parquet(inputs.towers[0]).head(0).to_parquet(tmp_path / "towers.parquet")
    write_figure(
        "tower_series",
        Inputs(system="soil_methane_sink", towers=[tmp_path / "towers.parquet"]),
        tmp_path / "x.png",
        SMALL,
    )
    assert (tmp_path / "x.png").is_file()


def test_what_is_missing_is_said(inputs, tmp_path) -> None:
    with pytest.raises(InputError, match="did you mean 'truth_map'"):
        write_figure("truth_mapp", inputs, tmp_path / "x.png")
    with pytest.raises(InputError, match="--truth"):
        write_figure(
            "truth_map",
            Inputs(system="soil_methane_sink", flux=inputs.flux, attributes=inputs.attributes),
            tmp_path / "x.png",
        )
    with pytest.raises(InputError, match="file not found"):
        write_figure("skill", Inputs(system="soil_methane_sink", skill=[tmp_path / "none.csv"]), tmp_path / "x.png")
    with pytest.raises(ConfigError, match="did you mean 'viridis'"):
        write_figure("skill", inputs, tmp_path / "x.png", ReportBlock(colormap="viridi"))
    with pytest.raises(InputError, match="2 files of the kind 'skill'"):
        write_figure("skill", Inputs(system="soil_methane_sink", skill=inputs.skill * 2), tmp_path / "x.png")
    assert not list(tmp_path.glob("*.png"))


def test_no_predictions_of_sites_left_out_is_said(inputs, tmp_path) -> None:
    table = pd.concat([pd.read_parquet(path) for path in inputs.predictions]).assign(split="train")
    table.to_parquet(tmp_path / "p.parquet")
    for name in ("site_series", "site_scatter"):
        with pytest.raises(InputError, match="no predictions of the flux at sites left out"):
            write_figure(
                name, Inputs(system="soil_methane_sink", predictions=[tmp_path / "p.parquet"]), tmp_path / "x.png"
            )


def test_the_page_holds_the_numbers_of_the_tables(world, inputs, tmp_path) -> None:
    write_truth_scores(tmp_path / "truth.csv", world.flux, world.attributes, inputs.truth[0], SYSTEM)
    folder = tmp_path / "benchmarks" / "infer"
    folder.mkdir(parents=True)
    for name, seconds in (("a", 12.5), ("b", 30.0)):
        (folder / f"{name}.tsv").write_text(f"s\th:m:s\tmax_rss\tmax_vms\n{seconds}\t0:00:12\t800.4\t-\n")
    write_figure("skill", inputs, tmp_path / "figures" / "skill.png", SMALL)
    page = tmp_path / "report" / "summary.html"
    write_summary(
        page,
        system=SYSTEM,
        title="a < b",
        budget=inputs.budget[0],
        skill=inputs.skill[0],
        truth=tmp_path / "truth.csv",
        figures=[tmp_path / "figures" / "skill.png"],
        benchmarks=tmp_path / "benchmarks",
    )
    text, plain = page.read_text(), page.with_suffix(".md").read_text()
    assert "<h1>a &lt; b</h1>" in text and "](../figures/skill.png)" in plain
    (address,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(address) == (tmp_path / "figures" / "skill.png").read_bytes()
    assert not re.search(r"\bnan\b", plain)
    assert "<b>Skill at sites left out.</b>" in text and "flatters fine-tuning" in text
    write_summary(tmp_path / "real.html", system=SYSTEM, skill=inputs.skill[0])
    assert "flatters" not in (tmp_path / "real.html").read_text()
    assert "| infer | 2 | 42.5 | 30.0 | 800 |" in plain
    whole = pd.read_csv(inputs.budget[0]).query("region_kind == 'global' and variable == 'ch4ox'").iloc[0]
    assert f"| 2001 | CH4 uptake | {number(whole['mean'])} |" in plain and number(whole["mean"]) in text
    with pytest.raises(InputError, match="file not found"):
        write_summary(page, system=SYSTEM, budget=tmp_path / "none.csv")
    with pytest.raises(InputError, match="file not found"):
        write_summary(page, system=SYSTEM, figures=[tmp_path / "none.png"])


def test_the_commands_draw_and_list(inputs, tmp_path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["report", "list"], catch_exceptions=False)
    assert all(name in listed.output for name in FIGURES)
    output = tmp_path / "budget.png"
    system = ["--system", "soil_methane_sink"]
    arguments = [*system, "--budget", str(inputs.budget[0]), "--output", str(output), "--settings", '{"dpi": 60}']
    assert run.invoke(app, ["report", "figure", "budget", *arguments], catch_exceptions=False).exit_code == 0
    page = ["--output", str(tmp_path / "s.html"), "--budget", str(inputs.budget[0]), "--figure", str(output)]
    assert run.invoke(app, ["report", "summary", *system, *page], catch_exceptions=False).exit_code == 0
    assert output.is_file() and (tmp_path / "s.md").is_file()
    with pytest.raises(ConfigError, match="did you mean 'dpi'"):
        wrong = [*system, "--output", str(output), "--settings", '{"dpy": 60}']
        run.invoke(app, ["report", "figure", "budget", *wrong], catch_exceptions=False)


def test_models_are_told_apart_by_colour_and_mark() -> None:
    assert len({(model_color(name), model_marker(name)) for name in MODEL_NAMES}) == len(MODEL_NAMES)


def test_skill_with_intervals_of_a_single_model_says_that_there_is_no_other(inputs, tmp_path) -> None:
    table = pd.read_csv(inputs.protocols[0])
    alone = table[(table["model"] == "network") & table["against"].isna()]
    alone.to_csv(tmp_path / "alone.csv", index=False)
    with house_style(SMALL):
        drawn = figure_row("unseen").function()(
            Inputs(system="soil_methane_sink", protocols=[tmp_path / "alone.csv"]), SMALL
        )
    assert any("no other model" in text.get_text() for axis in drawn.axes for text in axis.texts)
    alone.assign(target="tsl05").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match="no scores of a flux at unseen sites"):
        write_figure(
            "unseen", Inputs(system="soil_methane_sink", protocols=[tmp_path / "other.csv"]), tmp_path / "x.png", SMALL
        )
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["truth_map", "flux_map"])
def test_no_label_of_a_map_runs_off_the_page(inputs, name: str) -> None:
    labels_inside(name, inputs)
