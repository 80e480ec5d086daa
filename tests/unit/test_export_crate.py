"""A run as a Workflow Run RO-Crate and as a record for DataCite: read back by the library and against a schema."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

from fluxatlas import open_run
from fluxatlas.cli import app
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.export.crate import export_crate
from fluxatlas.export.datacite import Publication
from fluxatlas.paths import SNAKEFILE
from tiny_product import product

KNOWN = (  # properties of a record in the JSON schema of version 4.5, which refuses others
    "^(alternateIdentifiers|contributors|creators|dates|descriptions|doi|event|formats|fundingReferences|geoLocations"
    "|language|publicationYear|publisher|relatedIdentifiers|relatedItems|rightsList|schemaVersion|sizes|subjects"
    "|titles|types|url|version)$"
)
TEXT = {"type": "string", "minLength": 1}
MANDATORY: dict[str, Any] = {  # of the DataCite metadata schema 4.5: properties 1 to 5 and 10
    "type": "object",
    "propertyNames": {"pattern": KNOWN},
    "required": ["doi", "creators", "titles", "publisher", "publicationYear", "types", "schemaVersion"],
    "properties": {
        "doi": {"type": "string", "pattern": r"^10\.\d{4,}/\S+$"},
        "schemaVersion": {"const": "http://datacite.org/schema/kernel-4"},
        "creators": {"type": "array", "minItems": 1, "items": {"required": ["name"], "properties": {"name": TEXT}}},
        "titles": {"type": "array", "minItems": 1, "items": {"required": ["title"], "properties": {"title": TEXT}}},
        "publisher": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
        "publicationYear": {"type": "string", "pattern": r"^\d{4}$"},
        "types": {"required": ["resourceTypeGeneral"], "properties": {"resourceTypeGeneral": {"const": "Dataset"}}},
    },
}
CONFIG = """system: soil_methane_sink
run: {name: tiny}
period: {start: 2001, end: 2002}
forcing: {source: synthetic_earth}
"""
WHOLE = Publication("10.5281/zenodo.1", ("Doe, Jane", "An Institute"), "Zenodo")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two years of a flux, a catalogue and its configuration."""
    for year in (2001, 2002):
        product(tmp_path / "tiny", "soil_methane_sink", "fch4", year)
    (tmp_path / "tiny" / "products" / "stac").mkdir()
    (tmp_path / "tiny" / "products" / "stac" / "catalog.json").write_text("{}\n")
    (tmp_path / "tiny" / "products" / ".fch4.part").write_text("of a dead job")
    (tmp_path / "my.yaml").write_text(CONFIG)
    return tmp_path / "tiny"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_library_reads_a_crate_whose_checksums_are_true(run: Path) -> None:
    before = {path: sha256(path) for path in run.rglob("*.*") if path.is_file()}
    export_crate(open_run(run), run.parent / "my.yaml", WHOLE)
    assert {path: sha256(path) for path in before} == before  # products and catalogue stay as they are
    crate = ROCrate(run)
    assert [str(entity.id) for entity in crate.root_dataset["conformsTo"]] == [
        *(f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("process", "workflow")),
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]
    assert "MADE UP" in crate.description and "not to be passed on" in crate.license["name"]
    assert crate.root_dataset["identifier"] == "https://doi.org/10.5281/zenodo.1"
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} == set(crate.mainEntity.type)
    assert crate.mainEntity["programmingLanguage"]["name"] == "Snakemake"
    assert sha256(run / str(crate.mainEntity.id)) == sha256(SNAKEFILE)
    action = crate.root_dataset["mentions"]
    assert action["endTime"] == "2026-01-02T03:04:05+00:00"
    assert action.type == "CreateAction" and action["instrument"] == crate.mainEntity
    results = {entity.id for entity in action["result"]}
    assert results == {"products/daily/fch4_2001.nc", "products/daily/fch4_2002.nc", "products/stac/catalog.json"}
    inputs = {entity["name"]: entity for entity in action["object"]}
    assert inputs["soils"]["citation"] == "A map. Smith (2020), doi:10.1/abc"
    assert inputs["soils"]["identifier"] == "https://doi.org/10.1/abc"
    assert (run / inputs["configuration of the run"].id).read_text() == (run.parent / "my.yaml").read_text()
    described = [entity for entity in crate.data_entities if "File" in entity.type]
    assert len(described) > 10 and results < {entity.id for entity in described}
    for entity in described:
        assert entity["sha256"] == sha256(run / entity.id), entity.id
        assert int(entity["contentSize"]) == (run / entity.id).stat().st_size
    versions = {entity["name"]: entity["softwareVersion"] for entity in crate.mainEntity["softwareRequirements"]}
    assert "snakemake" in versions and "commit" in versions["fluxatlas"]
    urls = [entity["url"] for entity in crate.mainEntity["softwareRequirements"] if entity["name"] != "fluxatlas"]
    assert len(set(urls)) == len(versions) - 1 and all(url.startswith("https://") for url in urls)


def test_datacite_has_what_is_mandatory(run: Path) -> None:
    export_crate(open_run(run), run.parent / "my.yaml", WHOLE)
    found = json.loads((run / "datacite.json").read_text())
    jsonschema.validate(found, MANDATORY)
    assert found["creators"] == [
        {"name": "Doe, Jane", "nameType": "Personal", "familyName": "Doe", "givenName": "Jane"},
        {"name": "An Institute", "nameType": "Organizational"},
    ]
    assert found["publicationYear"] == "2026" and found["titles"] == [{"title": "A box, daily"}]
    assert "MADE UP" in found["descriptions"][0]["description"] and "SPDX" not in str(found["rightsList"])
    box = found["geoLocations"][0]["geoLocationBox"]
    assert list(box.values()) == [9.0, 11.0, 49.5, 51.0]  # edges of the cells
    assert [one["relatedIdentifier"] for one in found["relatedIdentifiers"]] == ["10.1/abc"]
    assert {"date": "2001-01-01/2002-12-31", "dateType": "Other", "dateInformation": "time covered"} in found["dates"]


def test_a_real_product_has_its_licence_and_the_creator_of_its_configuration(run: Path) -> None:
    product(run, "soil_methane_sink", "fch4", 2002, synthetic=False)
    (run.parent / "my.yaml").write_text(f"{CONFIG}products: {{creator: A Group}}\n")
    export_crate(open_run(run), run.parent / "my.yaml", Publication("10.5281/zenodo.1", publisher="Zenodo"))
    found = json.loads((run / "datacite.json").read_text())
    assert found["creators"] == [{"name": "A Group", "nameType": "Organizational"}]
    assert found["rightsList"][0]["rightsIdentifier"] == "CC-BY-4.0"
    assert ROCrate(run).license.id == "https://spdx.org/licenses/CC-BY-4.0"


def test_what_only_people_know_is_asked_for_and_never_made_up(run: Path) -> None:
    words = ["export", "crate", str(run), "--config", str(run.parent / "my.yaml")]
    whole = [*words, "--doi", WHOLE.doi, "--creator", "Doe, Jane", "--publisher", "Zenodo"]
    assert "datacite.json for 10.5281/zenodo.1" in CliRunner().invoke(app, whole, catch_exceptions=False).output
    done = CliRunner().invoke(app, [*words, "--publisher", "Zenodo"], catch_exceptions=False)
    assert "no datacite.json: a record for a DOI needs --doi, --creator\n" in done.output
    assert not (run / "datacite.json").exists() and (run / "ro-crate-metadata.json").exists()


def test_another_configuration_and_a_wrong_doi_are_refused(run: Path) -> None:
    (run.parent / "my.yaml").write_text(CONFIG.replace("tiny", "other"))
    with pytest.raises(InputError, match="of run 'other' of system 'soil_methane_sink', not of this one"):
        export_crate(open_run(run), run.parent / "my.yaml", Publication())
    with pytest.raises(ConfigError, match="'zenodo' is not a DOI"):
        Publication("zenodo")
    (run.parent / "empty" / "train").mkdir(parents=True)
    with pytest.raises(InputError, match="no product yet"):
        export_crate(open_run(run.parent / "empty"), run.parent / "my.yaml", Publication())
    assert {path.name for path in run.iterdir()} == {"products"}
