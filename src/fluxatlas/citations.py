"""What a run is made of, in words, with citations: as far as the configuration, file names and our tables know it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .config.sites import SitesBlock
from .errors import FluxAtlasError
from .fetch.datasets import datasets
from .ingest.sites.inputs import site_inputs
from .paths import RESOURCES
from .run_inputs import RunInputs
from .yaml_text import read_keys


def cited_inputs(run: RunInputs) -> list[str]:
    """One line ``what: title. Citation`` for each input of ``run``.

    What no table knows is named by its file, so that its author can be asked; by no more of its path than the last
    folder, so that moving an archive changes nothing.
    """
    own = run.is_synthetic
    made_up = "Synthetic Earth of fluxatlas (made up)"
    lines = [f"forcing: {made_up if own else _forcing(run)}"]
    lines += [f"static layers: {made_up}"] if own else list(_static(run))
    lines += [f"sites: {made_up}"] if run.has_synthetic_sites else list(_sites(run))
    lines += list(_atmosphere(run))
    regional = run.config.regional
    held = {regional.constraint, *regional.corrections.values()} if not run.config.train.members_from else set()
    for name, found in run.config.constraints.sets.items():
        known = (
            made_up if set(found.path) & set(run.synthetic_inversions) else _row("constraint", found.kind, found.path)
        )
        trained = "trained on, by region and month" if name in held else "beside the product, not trained on"
        lines.append(f"constraint {name} ({trained}): {known or _files(found.path)}")
    lines += [f"regions {name}: {_files([found.path])}" for name, found in run.config.regions.maps.items()]
    if run.config.train.members_from:
        lines.append(f"members: trained before, {_files([run.config.train.members_from])}")
    return list(dict.fromkeys(lines))


def _files(paths: Sequence[str]) -> str:
    """The last parts of paths, three at most."""
    names = list(dict.fromkeys("/".join(Path(path).parts[-2:]) for path in paths))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _row(kind: str, name: str, paths: Sequence[str] = ()) -> str:
    """Title, version and citation of the data set that the reader ``kind:name`` is for; empty where none is known.

    With the name ``auto`` it is the one whose name stands in ``paths``.
    """
    text = " ".join(paths)
    for row in datasets().values():
        for reader in row["reader"].split():
            own, _, called = reader.partition(":")
            if own == kind and (called == name or (name == "auto" and called in text)):
                return _cite(row)
    return ""


def _cite(row: dict[str, str]) -> str:
    version = f" ({row['version']})" if row["version"] and row["version"] not in row["title"] else ""
    doi = f", doi:{row['doi']}" if row["doi"] else ""
    return f"{row['title']}{version}. {row['citation']}{doi}"


def _forcing(run: RunInputs) -> str:
    block = run.config.forcing
    if not run.has_maps:
        return f"weather of the sites, {_files(run.site_weather)}" if run.site_weather else "weather of the sites"
    name = block.mapping if block.source == "mapping" else block.source
    path = RESOURCES / "mappings" / f"{name}.yaml"
    path = path if path.is_file() else Path(name)
    pattern = block.rain_pattern
    days = f"; wet days of {pattern.mapping or pattern.source}" if pattern else ""
    try:
        found = read_keys(path)
        return f"{found['title']}. {found['citation']}{days}"
    except (FluxAtlasError, KeyError, OSError):  # the reader says what is wrong with it
        return f"{path.name}{days}"


def _static(run: RunInputs) -> Iterator[str]:
    block = run.config.static
    if block.soil:
        yield f"soil: {_row('static', block.soil.provider)}"
    for name, layer in block.layers.items():
        if layer.constant is not None:
            yield f"{name}: constant {layer.constant:g}, {layer.reason}"
        else:
            yield f"{name}: {_row('static', layer.provider) or _files(layer.paths)}"
    if series := block.lai_series:
        yield f"leaf area: {_row('lai', series.product, series.path) or _files(series.path)}"
    if cover := block.landcover:
        yield f"land cover: {_row('landcover', cover.legend) or _files([cover.path])}"


def _sites(run: RunInputs) -> Iterator[str]:
    for entry in run.sites.entries:
        files = [Path(path).name.upper() for path in site_inputs(SitesBlock(entries=[entry]))]
        release = [_row("release", "auto", files)] if entry.source == "fluxnet" else []
        names = [info.site.lower().replace("-", "_") for info in entry.sites]
        known = [*filter(None, release), *(_cite(datasets()[name]) for name in names if name in datasets())]
        cited = "; ".join(known) or _row("sites", entry.source) or f"layout {entry.source}"
        yield f"sites: {cited} ({_files(entry.path)})"
        if entry.attributes:
            yield f"attributes of sites: {_files([entry.attributes])}"


def _atmosphere(run: RunInputs) -> Iterator[str]:
    for gas in run.system.series:
        given = run.atmosphere.get(gas)
        cited = _row("gas", gas)
        if given is None:
            yield f"{gas} of the atmosphere: table of fluxatlas; {cited}"
        else:
            known = f"; {cited}" if cited and f"{gas}_" in Path(given).name and "_gl" in Path(given).name else ""
            yield f"{gas} of the atmosphere: {Path(given).name}{known}"
