"""``fluxatlas evaluate``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .factors_command import factors
from .totals_command import totals

app = typer.Typer(no_args_is_help=True, help="Compare with sites, with towers and with the truth where there is one.")
app.command()(totals)
app.command()(factors)

Settings = Annotated[str, typer.Option(help="The block 'evaluate' of the configuration as JSON.")]
Flux = Annotated[list[Path], typer.Option(help="Flux file of a tile and year; repeat for more.")]
Attributes = Annotated[list[Path], typer.Option(help="Attributes of a tile; repeat for all tiles.")]
SystemName = Annotated[str, typer.Option("--system", help="System that was run.")]
Output = Annotated[Path, typer.Option(help="CSV file to write.")]
Predictions = Annotated[list[Path], typer.Option(help="Predictions of a model (Parquet); repeat for more.")]
Places = Annotated[Path, typer.Option(help="Table of sites with their places.")]
SiteOutput = Annotated[Path, typer.Option(help="CSV file to write the scores of each site to.")]
Reference = Annotated[str, typer.Option(help="Model that is compared with every other one.")]


@app.command()
def skill(
    predictions: Predictions,
    output: Output,
    settings: Settings = "{}",
) -> None:
    """Skill at sites by model, target and split."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from .skill import write_skill

    table = write_skill(output, predictions, read_settings(EvaluateBlock, settings))
    typer.echo(f"{output}: {table['model'].nunique()} models, {len(table)} rows", err=True)


@app.command()
def unseen(
    predictions: Predictions,
    sites: Places,
    output: Output,
    site_output: SiteOutput,
    coverage_output: Annotated[Path, typer.Option(help="CSV file to write what intervals hold to.")],
    settings: Settings = "{}",
    reference: Reference = "network",
) -> None:
    """Skill at unseen sites by protocol, with intervals, and the differences between models on the same days."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from .unseen import write_unseen

    block = read_settings(EvaluateBlock, settings)
    table = write_unseen(output, site_output, coverage_output, predictions, sites, block, reference)
    typer.echo(f"{output}: {table['model'].nunique()} models, {len(table)} rows", err=True)


@app.command()
def periods(
    predictions: Predictions,
    sites: Places,
    output: Output,
    site_output: SiteOutput,
    figure: Annotated[Path, typer.Option(help="Figure of the first flux to write (PNG).")],
    system: SystemName,
    settings: Settings = "{}",
    reference: Reference = "network",
) -> None:
    """Skill at unseen sites by month and other periods: quartiles over sites with intervals, beside every baseline."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .periods import write_periods
    from .periods_figure import write_figure

    block, fluxes = read_settings(EvaluateBlock, settings), get_system(system).flux_names
    table = write_periods(output, site_output, predictions, sites, block, reference)
    write_figure(figure, table, next(name for name in fluxes if (table["target"] == name).any()))
    typer.echo(f"{output}: {table['model'].nunique()} models, {len(table)} rows", err=True)


@app.command()
def region_months(
    target: Annotated[Path, typer.Option(help="What sums of regions were held to (NetCDF).")],
    flux: Flux,
    attributes: Attributes,
    regions: Annotated[list[Path], typer.Option(help="Regions of a tile, <tile>.nc; repeat for all.")],
    variable: Annotated[str, typer.Option(help="The flux that is summed.")],
    kind: Annotated[str, typer.Option(help="The map of regions.")],
    output: Output,
) -> None:
    """Sums of the product over regions and months beside those of inversions."""
    from .region_months import write_region_months

    table = write_region_months(output, target, flux, attributes, regions, variable=variable, kind=kind)
    typer.echo(f"{output}: {table['region'].nunique()} regions, {len(table)} months of them", err=True)


@app.command()
def yields(
    table: Annotated[Path, typer.Option(help="Table of yields by county or state and year.")],
    crop: Annotated[str, typer.Option(help="maize, soybean or wheat.")],
    last: Annotated[int, typer.Option(help="Last year that the models learn from.")],
    output: Output,
    carbon: Annotated[
        float | None, typer.Option(help="Share of carbon in the dry grain; usual value otherwise.")
    ] = None,
) -> None:
    """Yields of later years, and of states left out, by plain models that any other must beat."""
    from .area_years import write_yields

    found = write_yields(output, table, crop, last, carbon)
    typer.echo(f"{output}: {found['model'].nunique()} models, {int(found['rows'].max())} rows", err=True)


@app.command()
def yields_figure(
    table: Annotated[list[Path], typer.Option(help="Scores of a crop, which names the file; repeat for each crop.")],
    output: Output,
) -> None:
    """Figure of the scores that `evaluate yields` wrote, a panel per crop."""
    from .yields_figure import write_yields_figure

    write_yields_figure(output, {path.stem: path for path in table})


@app.command()
def overpasses(
    table: Annotated[Path, typer.Option(help="ECOSTRESS calibration table (CSV).")],
    places: Annotated[Path, typer.Option(help="Its list of towers with places and heights (CSV).")],
    output: Output,
    system: SystemName,
    settings: Settings = "{}",
) -> None:
    """Fluxes at the moment of a satellite's overpass, at towers left out, beside published models on the same rows."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .overpasses import write_overpasses

    found, notes = write_overpasses(output, table, places, get_system(system), read_settings(EvaluateBlock, settings))
    for note in notes:
        typer.echo(note, err=True)
    first = found.iloc[0]
    text = (
        f"{found['model'].nunique()} models, {first['rows']} rows, {first['sites']} sites, {first['clusters']} clusters"
    )
    typer.echo(f"{output}: {text}", err=True)


@app.command()
def prior(
    sites_attributes: Annotated[Path, typer.Option(help="Table of sites with their attributes.")],
    sites_forcing: Annotated[Path, typer.Option(help="Meteorology of the sites.")],
    observations: Annotated[Path, typer.Option(help="Observations of the sites.")],
    output: Output,
    system: SystemName,
    samples: Annotated[Path | None, typer.Option(help="Synthetic samples, to say which sites lie outside.")] = None,
    settings: Settings = "{}",
    series: Annotated[list[str] | None, typer.Option(help="Series of the atmosphere as gas=path; repeat.")] = None,
    gap: Annotated[
        int, typer.Option("--completion-gap-days", min=0, help="Longest gap of measured soil data to interpolate.")
    ] = 7,
) -> None:
    """Could the process model have made what the sites measured, with some parameters of its prior?"""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..ingest.atmosphere import series_of
    from ..systems import get_system
    from ..train.data import read_samples
    from ..train.sites import read_sites
    from .prior import write_prior

    block, declared = read_settings(EvaluateBlock, settings), get_system(system)
    known = series_of(declared.slow, series or ())
    sites = read_sites(
        sites_attributes, sites_forcing, observations, declared, block.cluster_distance_km, known, gap, evaluate=True
    )
    made = read_samples(samples, declared) if samples else None
    table = write_prior(output, sites, declared, block.prior_draws, block.seed, made)
    for row in table[table["site"] == "all"].itertuples():
        typer.echo(
            f"{row.target}: {row.mean_inside:.0%} of the means and {row.days_inside:.0%} of the days of {row.n} sites"
            " lie inside 90 % of the prior",
            err=True,
        )


@app.command()
def responses(
    members: Annotated[list[Path], typer.Option("--member", help="Member file; repeat.")],
    samples: Annotated[Path, typer.Option(help="Synthetic samples that give weather and soils.")],
    output: Output,
    shares: Annotated[Path, typer.Option(help="CSV file to write the share of each input to.")],
    system: SystemName,
    settings: Settings = "{}",
) -> None:
    """How members and process model respond to each driver, and what each input adds to the fluxes."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from ..train.data import read_samples
    from .responses import write_responses

    block, made = read_settings(EvaluateBlock, settings), read_samples(samples, get_system(system))
    table = write_responses(output, shares, members, made, block.response_series, block.seed)
    typer.echo(f"{output}: {table['input'].nunique() - 1} inputs, {table['member'].nunique()} members", err=True)


@app.command()
def trends(
    attributes: Attributes,
    forcing: Annotated[list[Path], typer.Option(help="Forcing piece, <tile>/<year>.nc; repeat.")],
    output: Output,
    system: SystemName,
    members: Annotated[list[Path] | None, typer.Option("--member", help="Member file; repeat.")] = None,
    series: Annotated[list[str] | None, typer.Option(help="Series of the atmosphere, gas=FILE; repeat.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Figure to write (PNG).")] = None,
    grid: Annotated[str, typer.Option(help="Target grid, such as 4km.")] = "4km",
    tile_size: Annotated[int, typer.Option(help="Edge of the tiles in degrees.")] = 10,
    settings: Settings = "{}",
) -> None:
    """What made the fluxes trend: factorial runs at places that stand for the domain; without members, of the process
    model with its defaults."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..grid import get_grid
    from ..systems import get_system
    from .trends import stand_ins, write_trends

    block, declared = read_settings(EvaluateBlock, settings), get_system(system)
    places = stand_ins(declared, get_grid(grid), tile_size, attributes, forcing, series or (), block)
    table = write_trends(output, *places, members or [], declared, block)
    if figure:
        from .trends_figure import write_figure

        write_figure(figure, table)
    typer.echo(f"{output}: {table['factor'].nunique()} factors, {table['points'].iloc[0]} places", err=True)


@app.command()
def truth(
    flux: Flux,
    attributes: Attributes,
    truth: Annotated[Path, typer.Option(help="True annual means (year, lat, lon).")],
    output: Output,
    system: SystemName,
) -> None:
    """The product's annual means against the hidden truth of the synthetic Earth."""
    from ..systems import get_system
    from .truth import write_truth_scores

    for row in write_truth_scores(output, flux, attributes, truth, get_system(system)).itertuples():
        typer.echo(f"{row.year} {row.variable}: r = {row.r:.2f}, bias = {row.bias:+.3f} {row.unit}", err=True)


@app.command()
def truth_sites(
    predictions: Predictions,
    truth: Annotated[Path, typer.Option(help="What is true at the sites (Parquet).")],
    output: Output,
    settings: Settings = "{}",
) -> None:
    """Models at unseen sites against the hidden truth of the synthetic Earth."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from .truth_sites import write_site_truth_scores

    table = write_site_truth_scores(output, predictions, truth, read_settings(EvaluateBlock, settings))
    typer.echo(f"{output}: {table['model'].nunique()} models, {len(table)} rows", err=True)


@app.command()
def towers(
    daily: Annotated[list[Path], typer.Option(help="Daily file <variable>_<year>.nc; repeat for more.")],
    sites: Annotated[Path, typer.Option(help="Table of sites.")],
    observations: Annotated[Path, typer.Option(help="Observations of the sites.")],
    output: Output,
    settings: Settings = "{}",
) -> None:
    """The product's cells against the towers in them; the series go beside the table as Parquet."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from .towers import write_towers

    table = write_towers(output, daily, sites, observations, read_settings(EvaluateBlock, settings))
    for row in table[table["site"] == "all"].itertuples():
        typer.echo(f"{row.variable}: {row.n} days, r = {row.r:.2f}, bias = {row.bias:+.3g} {row.unit}", err=True)


Daily = Annotated[list[Path], typer.Option(help="Daily file <variable>_<year>.nc; repeat for all years.")]
Against = Annotated[list[str], typer.Option(help="Product as name=FILE, what ingest constraint made; repeat.")]
Variable = Annotated[str, typer.Option(help="The variable of the product that is compared.")]
Maps = Annotated[Path, typer.Option(help="NetCDF file to write maps to.")]


@app.command()
def comparison(
    daily: Daily,
    against: Annotated[str, typer.Option(help="Product as name=FILE, what ingest constraint made.")],
    variable: Variable,
    maps: Maps,
    output: Output,
    series: Annotated[Path, typer.Option(help="CSV file to write means of the domain by time to.")],
    settings: Annotated[str, typer.Option(help="The block 'comparison' of the configuration as JSON.")] = "{}",
) -> None:
    """The product beside a gridded product: scores by band of latitude, maps of cells, means of the domain."""
    from ..config.comparison import ComparisonBlock
    from ..config.settings import read_settings
    from .comparison import compare, matched, named, write_maps, write_table

    block, others = read_settings(ComparisonBlock, settings), named([against])
    both = matched(daily, variable, others, block)
    data, table, means = compare(both, block)
    write_maps(maps, data, both, block, [*daily, *others.values()])
    write_table(output, table)
    write_table(series, means)
    for row in table[table["extent"] == "all"].itertuples():
        typer.echo(
            f"{variable} beside {row.against} ({row.kind}): {row.cells} cells, {row.times} {row.step}s,"
            f" r = {row.r:.2f}, bias = {row.bias:+.3g}, ubRMSE = {row.ubrmse:.3g} {row.unit}",
            err=True,
        )


@app.command()
def collocation(
    daily: Daily,
    against: Against,
    variable: Variable,
    maps: Maps,
    output: Output,
    settings: Annotated[str, typer.Option(help="The block 'comparison' of the configuration as JSON.")] = "{}",
) -> None:
    """Triple collocation of the product and two gridded products: errors without a truth."""
    from ..config.comparison import ComparisonBlock
    from ..config.settings import read_settings
    from ..errors import InputError
    from .comparison import matched, named, triple, write_maps, write_table

    block, others = read_settings(ComparisonBlock, settings), named(against)
    if len(others) != 2:
        hint = "give --against twice, with two products of different names"
        raise InputError(f"triple collocation needs two products beside ours, and there is {len(others)}", hint=hint)
    three = matched(daily, variable, others, block)
    data, table = triple(three, block)
    write_maps(maps, data, three, block, [*daily, *others.values()])
    write_table(output, table)
    for row in table[table["extent"] == "all"].itertuples():
        refused = f"{row.few_common_times} + {row.covariance_not_positive} + {row.negative_error_variance}"
        typer.echo(
            f"{row.product} ({row.kind}): error {row.error_sd:.3g} {row.unit}, r = {row.r_truth:.2f}, estimated"
            f" in {row.estimated} cells; refused (few times, covariance, variance): {refused}",
            err=True,
        )


@app.command()
def seams(flux: Flux, attributes: Attributes, output: Output, system: SystemName) -> None:
    """Steps across the edges of tiles compared with steps inside."""
    from ..systems import get_system
    from .seams import write_seams

    table = write_seams(output, flux, attributes, get_system(system).flux_names)
    for row in table[table["edge"] == "all"].itertuples():
        typer.echo(f"{row.year} {row.variable}: across / inside = {row.ratio:.2f} ({row.pairs} pairs)", err=True)
