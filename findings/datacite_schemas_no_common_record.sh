#!/usr/bin/env bash
# datacite: no record with a DOI holds before both its schema 4.3 and its schema 4.5, though both have one schemaVersion.
#
# The JSON form of DataCite metadata names its version by schemaVersion, which is "http://datacite.org/schema/kernel-4" for
# all of 4.x. In schema43 of the package "identifiers" is required, with the DOI in it, "doi" is refused and the publisher
# is text; in schema45 "identifiers" is refused, the DOI stands in "doi" and the publisher is an object. So a record that
# was valid is refused after an update, says nowhere which of the two it follows, and cannot be written to satisfy both.
# Seen with datacite 1.4.1. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datacite==1.4.1
cd "$folder"
venv/bin/python - <<'PY'
from datacite import schema43, schema45

common = {
    "schemaVersion": "http://datacite.org/schema/kernel-4",
    "creators": [{"name": "Doe, Jane"}],
    "titles": [{"title": "Uptake of methane by soils"}],
    "publicationYear": "2024",
    "types": {"resourceType": "", "resourceTypeGeneral": "Dataset"},
}
old = {"identifiers": [{"identifier": "10.1234/x", "identifierType": "DOI"}], "publisher": "Somebody"}
new = {"doi": "10.1234/x", "publisher": {"name": "Somebody"}}


def errors(schema, record):
    return sorted(error.message for error in schema.validator.iter_errors(common | record))


for name, record in {"identifiers, publisher as text": old, "doi, publisher as object": new, "all of it": old | new}.items():
    print(f"{name}\n  4.3: {errors(schema43, record) or 'valid'}\n  4.5: {errors(schema45, record) or 'valid'}")
assert errors(schema43, old) == [] and errors(schema45, new) == [], "one of the schemas has changed"
assert len(errors(schema45, old)) == 2 and errors(schema43, new), "they agree now"
assert any("identifiers" in line for line in errors(schema45, old | new)) and errors(schema43, old | new)
PY
