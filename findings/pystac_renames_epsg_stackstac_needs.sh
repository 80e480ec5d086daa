#!/usr/bin/env bash
# pystac with stackstac: an item that carries proj:epsg loses it on reading, and stackstac then knows no projection.
#
# stackstac takes the projection of an asset from proj:epsg (projection extension 1.x). pystac migrates what it reads to
# version 2 of the extension and replaces proj:epsg by proj:code, in the dictionary that it hands on too. Items that
# stackstac stacks as JSON are refused with "Cannot pick a common CRS" once they have passed through pystac,
# unless epsg= is given. Seen with pystac 1.15.2 and stackstac 0.5.0 (numpy 1.26, pandas 2.2, which stackstac needs).
# Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pystac==1.15.2 stackstac==0.5.0 numpy==1.26.4 pandas==2.2.3 xarray==2024.7.0 rasterio==1.4.4
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import json

import pystac
import stackstac

item = {
    "type": "Feature", "stac_version": "1.0.0", "id": "map",
    "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
    "bbox": [0, 0, 4, 3], "links": [], "collection": "maps",
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 3], [0, 3], [0, 0]]]},
    "properties": {
        "datetime": "2001-07-01T00:00:00Z", "proj:epsg": 4326, "proj:shape": [3, 4],
        "proj:transform": [1.0, 0.0, 0.0, 0.0, -1.0, 3.0],
    },
    "assets": {"data": {"href": "map.tif", "type": "image/tiff; application=geotiff"}},
}
with open("item.json", "w") as file:
    json.dump(item, file)
print("as JSON:", stackstac.stack([item]).sizes)
read = pystac.Item.from_file("item.json")
print("after pystac:", {key: value for key, value in read.properties.items() if key in ("proj:epsg", "proj:code")})
assert "proj:epsg" not in read.properties and read.properties["proj:code"] == "EPSG:4326", "pystac has changed"
try:
    stackstac.stack([read.to_dict()])
    raise SystemExit("stackstac has changed")
except ValueError as error:
    print("stackstac:", str(error).splitlines()[0])
    assert "CRS" in str(error) or "epsg" in str(error).lower(), error
print("with epsg=:", stackstac.stack([read.to_dict()], epsg=4326).sizes)
PY
