"""A record for a DOI: the mandatory properties of the DataCite metadata schema 4.5, and what a run knows beside them.

The form is the JSON of DataCite's REST interface (recalled). What only people know (DOI, creators, publisher) is given
by them; it is never made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.products import ProductsBlock
from ..errors import ConfigError
from ..products.about import About

SCHEMA = "http://datacite.org/schema/kernel-4"
DOI = re.compile(r"10\.\d{4,9}/\S+")
CITED = re.compile(r"doi:(10\.[^\s,;]+)")
"""A DOI in a line that cites something."""


@dataclass(frozen=True)
class Publication:
    """What people say of a product; empty: not known. ``creators`` are names, of persons as ``Family, Given``.

    Raises :class:`ConfigError` for a DOI that is none.
    """

    doi: str = ""
    creators: tuple[str, ...] = ()
    publisher: str = ""

    def __post_init__(self) -> None:
        if self.doi and not DOI.fullmatch(self.doi):
            raise ConfigError(f"'{self.doi}' is not a DOI", where="--doi", hint="give it as 10.5281/zenodo.1234567")

    def filled(self, block: ProductsBlock) -> Publication:
        """Itself with the creator of the configuration, where that is one (not the default) and none is given."""
        named = block.creator != ProductsBlock.model_fields["creator"].default
        return Publication(self.doi, self.creators or ((block.creator,) if named else ()), self.publisher)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Options that must still be given."""
        given = {"--doi": self.doi, "--creator": self.creators, "--publisher": self.publisher}
        return tuple(option for option, value in given.items() if not value)


def record(
    publication: Publication,
    block: ProductsBlock,
    about: About,
    attrs: Mapping[str, Any],
    years: Sequence[int],
    description: str,
) -> dict[str, Any]:
    """The record of a product whose daily files have the attributes ``attrs``.

    Raises :class:`ConfigError` if a mandatory property is lacking.
    """
    if publication.lacking:
        hint = f"give {', '.join(publication.lacking)}"
        raise ConfigError("the record of the DOI is not complete", where="datacite", hint=hint)
    (south, north), (west, east) = (_edges(attrs, axis) for axis in ("lat", "lon"))
    cited = [match for line in about.inputs for match in CITED.findall(line)]
    rights: dict[str, Any] = {"rights": about.licence(block.license)}
    if not about.synthetic:
        rights |= {"rightsIdentifier": block.license, "rightsIdentifierScheme": "SPDX"}
    return {
        "schemaVersion": SCHEMA,
        "doi": publication.doi,
        "creators": [_creator(name) for name in publication.creators],
        "titles": [{"title": title(attrs)}],
        "publisher": {"name": publication.publisher},
        "publicationYear": str(attrs["date_created"])[:4],
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "daily gridded land fluxes"},
        "version": str(attrs.get("product_version", "")),
        "language": "en",
        "formats": ["application/netcdf", "image/tiff; application=geotiff; profile=cloud-optimized"],
        "dates": [
            {"date": str(attrs["date_created"])[:10], "dateType": "Created"},
            {"date": f"{min(years)}-01-01/{max(years)}-12-31", "dateType": "Other", "dateInformation": "time covered"},
        ],
        "subjects": [{"subject": word} for word in str(attrs.get("keywords", "")).split(", ") if word],
        "rightsList": [rights],
        "descriptions": [{"description": description, "descriptionType": "Abstract"}],
        "geoLocations": [
            {
                "geoLocationPlace": about.domain,
                "geoLocationBox": {
                    "westBoundLongitude": west,
                    "eastBoundLongitude": east,
                    "southBoundLatitude": south,
                    "northBoundLatitude": north,
                },
            }
        ],
        "relatedIdentifiers": [
            {"relatedIdentifier": doi, "relatedIdentifierType": "DOI", "relationType": "IsDerivedFrom"}
            for doi in dict.fromkeys(cited)
        ],
    }


def title(attrs: Mapping[str, Any]) -> str:
    """Title of the whole product: that of a daily file without what is of one variable and year."""
    words = str(attrs["title"])
    return words.split(": daily ")[0] + ", daily"


def _edges(attrs: Mapping[str, Any], axis: str) -> tuple[float, float]:
    """The outer edges [degrees] of cells whose centres the attributes have."""
    half = float(attrs[f"geospatial_{axis}_resolution"]) / 2
    low, high = (float(attrs[f"geospatial_{axis}_{end}"]) for end in ("min", "max"))
    return round(low - half, 6), round(high + half, 6)


def _creator(name: str) -> dict[str, str]:
    family, comma, given = (part.strip() for part in name.partition(","))
    if not comma:
        return {"name": name, "nameType": "Organizational"}
    return {"name": f"{family}, {given}", "nameType": "Personal", "familyName": family, "givenName": given}
