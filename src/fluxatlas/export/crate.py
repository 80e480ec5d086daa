"""A finished run as a Workflow Run RO-Crate, in its own folder: what was run with what, and what came of it.

RO-Crate 1.1 with the profiles Process Run Crate 0.5, Workflow Run Crate 0.5 and Workflow RO-Crate 1.0 (names of them
and of terms seen in programs that check crates; no such program was run). The workflow and the configuration are copied
to ``crate/``; the products stay where they are and are named with their SHA-256. The action is the whole run: its jobs
are in the provenance of the files.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import shutil
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import files
from ..config import Config, load
from ..errors import InputError
from ..paths import SNAKEFILE
from ..products.about import SYNTHETIC_NOTE, About
from ..results import RunResults
from .datacite import CITED, Publication, record, title

CRATE, DATACITE = "ro-crate-metadata.json", "datacite.json"
VERSION, PROFILES = "1.1", {"process": "Process Run Crate", "workflow": "Workflow Run Crate"}
PROFILE_VERSION = "0.5"
WORKFLOW = "https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PRODUCTS = ("products/**/*", "evaluate/*.csv", "report.html", "report/summary.*")
"""What of a run belongs to its crate."""
PACKAGES = ("snakemake", "numpy", "numba", "torch", "xarray", "netCDF4", "rasterio", "dask")
TYPES = {".nc": "application/netcdf", ".parquet": "application/vnd.apache.parquet", ".tif": "image/tiff"}


def export_crate(run: RunResults, config: Path, publication: Publication) -> tuple[int, tuple[str, ...]]:
    """Write ``ro-crate-metadata.json``, ``crate/`` and, where ``publication`` is complete, ``datacite.json`` to the
    folder of ``run``; the number of files described, and the options that a record for a DOI still lacks.

    ``config`` is the configuration of the run. Raises :class:`InputError` where it is that of another run, or the run
    has no product; nothing is written then. A record that is no longer complete is removed.
    """
    settings, attrs = load(config), run.about
    if (own := (settings.run.name, settings.system)) != (run.folder.resolve().name, run.system.key):
        what = f"the configuration is of run '{own[0]}' of system '{own[1]}', not of this one"
        raise InputError(what, where=str(config), hint=f"give that of '{run.folder}'")
    about = About(**{**attrs["fluxatlas_about"], "inputs": tuple(attrs["fluxatlas_about"].get("inputs", ()))})
    publication = publication.filled(settings.products)
    doi = (
        None
        if publication.lacking
        else record(publication, settings.products, about, attrs, run.years, _description(run, about))
    )
    found = [path for path in _products(run.folder) if path.name not in (CRATE, DATACITE)]
    with files.atomic_folder(run.folder / "crate") as folder:
        shutil.copyfile(SNAKEFILE, folder / "Snakefile")
        shutil.copytree(SNAKEFILE.parent / "workflow" / "rules", folder / "workflow" / "rules")
        shutil.copyfile(config, folder / "config.yaml")
    text = json.dumps(_crate(run, settings, about, publication, found), indent=2, ensure_ascii=False)
    files.write_text(run.folder / CRATE, text + "\n")
    if doi:
        files.write_text(run.folder / DATACITE, json.dumps(doi, indent=2, ensure_ascii=False) + "\n")
    else:
        (run.folder / DATACITE).unlink(missing_ok=True)
    return len(found), publication.lacking


def _description(run: RunResults, about: About) -> str:
    note = f"{SYNTHETIC_NOTE} " if about.synthetic else ""
    years = f"{run.years[0]}-{run.years[-1]}"
    held = f" {about.remarks}" if about.remarks else ""
    return f"{note}{run.system.title}, {about.domain}, {years}: daily product, maps, budgets, scores and report.{held}"


def _products(folder: Path) -> Iterator[Path]:
    for pattern in PRODUCTS:
        yield from sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))


def _crate(
    run: RunResults, settings: Config, about: About, publication: Publication, found: Sequence[Path]
) -> dict[str, Any]:
    """The graph as JSON-LD."""
    from rocrate.rocrate import ROCrate

    attrs = run.about
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(TERMS)
    root = crate.root_dataset
    root["name"], root["datePublished"] = title(attrs), str(attrs["date_created"])
    root["description"] = _description(run, about)
    root["license"] = _add(crate, *_licence(about, settings.products.license))
    root["keywords"] = str(attrs.get("keywords", ""))
    root["conformsTo"] = [
        _add(crate, f"https://w3id.org/ro/wfrun/{key}/{PROFILE_VERSION}", "CreativeWork", name, version=PROFILE_VERSION)
        for key, name in PROFILES.items()
    ]
    root["conformsTo"] = [*root["conformsTo"], _add(crate, WORKFLOW[0], "CreativeWork", WORKFLOW[1], version="1.0")]
    root["author"] = [
        _add(crate, f"#creator-{n}", "Person" if "," in who else "Organization", who)
        for n, who in enumerate(publication.creators, 1)
    ]
    if publication.doi:
        root["identifier"] = f"https://doi.org/{publication.doi}"
    workflow = _workflow(crate, run)
    inputs = [_input(crate, number, line) for number, line in enumerate(about.inputs, 1)]
    inputs.append(_file(crate, run.folder, run.folder / "crate" / "config.yaml", name="configuration of the run"))
    for path in sorted((run.folder / "crate" / "workflow").rglob("*.smk")):
        _file(crate, run.folder, path, name=f"rules {path.stem}")
    products = [_file(crate, run.folder, path) for path in found]
    said = {
        "name": f"run {about.run} of fluxatlas",
        "description": "All jobs of the run; the attributes of each file name its own settings and inputs.",
        "endTime": str(attrs["date_created"]).replace("Z", "+00:00"),  # as the profile writes it
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    action = crate.add_action(workflow, identifier="#run", object=inputs, result=products, properties=said)
    root["mentions"] = action
    return dict(crate.metadata.generate())


def _add(crate: Any, place: str, kind: str, name: str, **more: Any) -> Any:
    """A part of the graph that is not a file."""
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, place, properties={"@type": kind, "name": name, **more}))


def _workflow(crate: Any, run: RunResults) -> Any:
    """The Snakefile, and the software that it runs with."""
    attrs = run.about
    folder = run.folder / "crate"
    made_with = f"{attrs.get('fluxatlas_version', 'unknown')}, commit {attrs.get('fluxatlas_commit', 'unknown')}"
    workflow = crate.add_workflow(
        folder / "Snakefile",
        dest_path="crate/Snakefile",
        main=True,
        lang="snakemake",
        properties=_facts(folder / "Snakefile"),
    )
    own = _add(
        crate,
        "#fluxatlas",
        "SoftwareApplication",
        "fluxatlas",
        softwareVersion=made_with,
        description="made the product",
    )
    used = [own]
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        when = "installed when this description was written"
        home = _home(name)
        more = {"softwareVersion": version, "description": when} | ({"url": home} if home else {})
        used.append(_add(crate, home or f"#{name}", "SoftwareApplication", name, **more))
    workflow["name"], workflow["softwareRequirements"] = "fluxatlas", used
    workflow["version"] = str(attrs.get("fluxatlas_version", "unknown"))
    return workflow


def _home(package: str) -> str:
    """Where an installed package says that its home is, or its sources; empty where it says neither."""
    about = metadata.metadata(package)
    lines = (line.partition(", ") for line in about.get_all("Project-URL") or ())
    named = {label.lower(): place for label, _, place in lines}
    places = (*map(named.get, ("homepage", "home", "repository", "source")), *(about.get_all("Home-page") or ()))
    return next(filter(None, places), "")


def _licence(about: About, licence: str) -> tuple[str, str, str]:
    """Identifier, type and name of the licence; the terms of a made-up world are not those of SPDX alone."""
    home = "#licence" if about.synthetic else f"https://spdx.org/licenses/{licence}"
    return home, "CreativeWork", about.licence(licence)


def _input(crate: Any, number: int, line: str) -> Any:
    """An input of the run by its citation."""
    what, _, cited = line.partition(": ")
    doi = CITED.findall(line)
    places = [f"https://doi.org/{one}" for one in doi]
    more = {"identifier": places if len(places) > 1 else places[0]} if doi else {}
    return _add(crate, f"#input-{number}", "CreativeWork", what, description=cited, citation=cited, **more)


def _file(crate: Any, folder: Path, path: Path, **more: Any) -> Any:
    place = path.relative_to(folder).as_posix()
    return crate.add_file(path, dest_path=place, properties={"name": path.name, **_facts(path), **more})


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return {"contentSize": str(path.stat().st_size), "sha256": digest, "encodingFormat": kind}
