"""Check the RO-Crate of a run, and its record for DataCite, with the public validators of both.

    with="--with roc-validator==0.13.0 --with rocrate==0.16.0 --with datacite==1.4.1"
    uv run --no-project $with python tests/crate_validator.py results/demo

The crate is checked against the profiles that it names (roc-validator), ``datacite.json`` against the JSON schema of
the DataCite metadata schema 4.5 (package datacite). A script and not a test: the validators bring rdflib and pySHACL,
take half a minute, and read the two contexts of the crate from w3id.org. Where that host is not reached, they are given
the context that the package rocrate carries (of RO-Crate 1.3, with the two names that are others in 1.1), and the terms
of workflow runs by their names. Ends with 1 where a rule that is required does not hold; recommended ones are listed.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import rdflib.plugins.shared.jsonld.context as reader
import requests
from datacite import schema45
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

PROFILES = ("ro-crate-1.1", "process-run-crate-0.5", "workflow-ro-crate-1.0", "workflow-run-crate-0.5")
TERMS = "https://w3id.org/ro/terms/workflow-run"
NAMES = "ParameterConnection connection sourceParameter targetParameter md5 sha1 sha256 sha512"


def reached() -> bool:
    """Whether the contexts can be had from where they are published."""
    try:
        return requests.get(f"{TERMS}/context", timeout=10).ok
    except requests.RequestException:
        return False


def replace_contexts() -> None:
    """Give the validator contexts of this machine."""
    home = Path(str(find_spec("rocrate").origin)).parent  # type: ignore[union-attr]
    crate = json.loads((home / "data" / "ro-crate.jsonld").read_text(encoding="utf-8"))["@context"]
    crate |= {name: f"https://bioschemas.org/{name}" for name in ("ComputationalWorkflow", "FormalParameter")}
    runs = {name: f"{TERMS}#{name}" for name in NAMES.split()}
    before = reader.source_to_json

    def context(place: str) -> Any:
        return {"@context": runs if place.startswith(TERMS) else crate}

    def source(place: Any, *words: Any, **more: Any) -> Any:
        return (
            (context(place), None) if str(place).startswith("https://w3id.org/ro/") else before(place, *words, **more)
        )

    def get(_: Any, place: str, **more: Any) -> Any:
        text = json.dumps(context(place))
        headers = {"Content-Type": "application/ld+json"}
        return SimpleNamespace(
            status_code=200, ok=True, text=text, headers=headers, json=lambda: json.loads(text), content=text.encode()
        )

    reader.source_to_json = source
    HttpRequester.get = get


def main(run: str) -> int:
    if not reached():
        print("w3id.org is not reached: with the contexts of this machine")
        replace_contexts()
    broken = 0
    for profile in PROFILES:
        settings = services.ValidationSettings(
            rocrate_uri=run,
            profile_identifier=profile,
            requirement_severity=models.Severity.RECOMMENDED,
            abort_on_first=False,
        )
        issues = services.validate(settings).get_issues()
        required = [one for one in issues if one.severity == models.Severity.REQUIRED]
        broken += len(required)
        print(f"{profile}: {len(required)} required and {len(issues) - len(required)} recommended rules do not hold")
        for line in sorted({f"  {one.severity.name} {one.check.name}: {one.message}" for one in issues}):
            print(line)
    record = Path(run) / "datacite.json"
    if record.exists():
        errors = list(schema45.validator.iter_errors(json.loads(record.read_text(encoding="utf-8"))))
        broken += len(errors)
        print(f"DataCite 4.5: {len(errors)} errors")
        for error in errors:
            print(f"  {error.json_path}: {error.message}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
