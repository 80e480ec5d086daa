"""What products say of themselves: a made-up world says so everywhere, inputs are cited, names are those of the run."""

import json

import netCDF4
import pandas as pd
import pystac
import pytest
import rasterio
import xarray as xr
import yaml
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.config.products import ProductsBlock
from fluxatlas.config.run import DomainBlock
from fluxatlas.errors import ConfigError
from fluxatlas.paths import REPOSITORY
from fluxatlas.products.about import About
from fluxatlas.products.budget import budget_table
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from fluxatlas.products.stac import write_catalog
from fluxatlas.run import Run
from fluxatlas.systems import get_system
from stage_files import make_world

SYSTEM = "soil_methane_sink"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("about"), bbox=(-130, 40, -120, 50), years=(2001,))


def _products(world, folder, about):
    """The daily file, its map and the catalogue of one variable."""
    block = ProductsBlock(monthly=False)
    daily, output = folder / "daily" / "fch4_2001.nc", folder / "stac" / "catalog.json"
    write_daily(daily, "fch4", 2001, world.flux, world.attributes, block, system=SYSTEM, about=about)
    (map_,) = write_maps(daily, "fch4", 2001, folder / "cog", block)
    write_catalog(output, [daily], [map_], block, system=SYSTEM, run=about.run)
    (collection,) = pystac.Catalog.from_file(str(output)).get_children()
    return daily, map_, collection


def test_products_of_the_synthetic_earth_say_so_everywhere(world, tmp_path) -> None:
    daily, map_, collection = _products(world, tmp_path, Run(load(REPOSITORY / "config/config.yaml")).about)
    with xr.open_dataset(daily, engine="netcdf4") as data:
        attrs = data.attrs
    for text in (attrs["title"], attrs["summary"], attrs["source"], attrs["keywords"]):
        assert "synthetic" in text.lower()
    assert attrs["license"].startswith("CC-BY-4.0; ") and "real Earth" in attrs["license"]
    with rasterio.open(map_) as raster:
        tags, band = raster.tags(), raster.descriptions[0]
    assert tags["synthetic"] == "true" and "Synthetic Earth" in tags["title"] and "Synthetic Earth" in band
    assert tags["TIFFTAG_IMAGEDESCRIPTION"] == band and tags["TIFFTAG_COPYRIGHT"] == attrs["license"]
    (item,) = collection.get_items()
    for text in (collection.title, collection.description, item.properties["title"]):
        assert "Synthetic Earth" in text or "MADE UP" in text
    assert "synthetic" in collection.keywords and collection.extra_fields["fluxatlas:synthetic"] is True
    assert collection.license == "other"
    (link,) = collection.get_links("license")
    assert "real Earth" in link.title
    assert (tmp_path / "stac" / collection.id / "LICENCE.txt").read_text().strip() == attrs["license"]
    assert link.href.endswith("LICENCE.txt")


def test_real_products_name_their_inputs_and_nothing_made_up(world, tmp_path) -> None:
    about = About("real", "Walnut Gulch", inputs=("forcing: X. Livneh et al. (2015), doi:10.1038/sdata.2015.42",))
    daily, map_, collection = _products(world, tmp_path, about)
    with xr.open_dataset(daily, engine="netcdf4") as data:
        attrs = data.attrs
    assert about.inputs[0] in attrs["source"].splitlines() and attrs["license"] == "CC-BY-4.0"
    assert "Walnut Gulch" in attrs["title"] and "ynthetic" not in json.dumps(
        {key: value for key, value in attrs.items() if isinstance(value, str) and key != "fluxatlas_about"}
    )
    with rasterio.open(map_) as raster:
        tags = raster.tags()
    assert tags["inputs"] == about.inputs[0] and tags["synthetic"] == "false" and tags["domain"] == "Walnut Gulch"
    assert collection.license == "CC-BY-4.0" and about.inputs[0] in collection.description
    assert collection.extra_fields["fluxatlas:inputs"] == list(about.inputs)
    assert not (tmp_path / "stac" / collection.id / "LICENCE.txt").exists()


CONSTRAINT = {
    "flux_name": "NEE", "flux_meaning": "net ecosystem exchange", "flux_sign": "positive to the atmosphere",
    "target_kind": "ecosystem", "regions": ["a", "b"], "inversions": ["x"], "years": "2001-01 to 2003-12",
    "held_out": {"a": [2002]}, "files": {"gcb.nc": "0123"},
}  # fmt: skip


def test_products_say_what_training_was_held_to(world, tmp_path) -> None:
    for path in world.flux:
        with netCDF4.Dataset(path, "a") as file:
            file.constraint = json.dumps(CONSTRAINT)
    try:
        daily, map_, collection = _products(world, tmp_path, About("held"))
    finally:
        for path in world.flux:
            with netCDF4.Dataset(path, "a") as file:
                del file.constraint
    with xr.open_dataset(daily, engine="netcdf4") as data:
        summary, about = data.attrs["summary"], json.loads(data.attrs["fluxatlas_about"])
    assert "2 regions and months (2001-01 to 2003-12) were held to those of 1 inversion as NEE" in summary
    assert "region-years held out: a 2002." in summary and about["constraint"] == CONSTRAINT
    with rasterio.open(map_) as raster:
        assert json.loads(raster.tags()["constraint"]) == CONSTRAINT
    assert collection.extra_fields["fluxatlas:constraint"] == CONSTRAINT and summary[-40:] in collection.description
    assert "constraint" not in json.loads(About("free").to_json())


def test_two_runs_share_no_identifier(world, tmp_path) -> None:
    found = [_products(world, tmp_path / name, About(name)) for name in ("one", "two")]
    names = []
    for daily, _, collection in found:
        with xr.open_dataset(daily, engine="netcdf4") as data:
            names.append({data.attrs["id"], collection.id, *(item.id for item in collection.get_items())})
    assert len(names[0]) == 3 and not names[0] & names[1]


def test_the_whole_of_a_budget_bears_the_name_of_the_domain(world, tmp_path) -> None:
    table = budget_table(world.flux, world.attributes, system=get_system(SYSTEM), domain="Cascadia")
    assert set(table.loc[table["region_kind"] == "global", "region"]) == {"Cascadia"}
    assert "global" not in set(table["region"])
    options = [word for path in world.flux for word in ("--flux", str(path))]
    options += [word for path in world.attributes for word in ("--attributes", str(path))]
    options += ["--system", SYSTEM, "--domain", "36N-40N 8W-4W", "--output", str(tmp_path / "b.csv")]
    assert CliRunner().invoke(app, ["products", "budget", *options], catch_exceptions=False).exit_code == 0
    assert "36N-40N 8W-4W" in set(pd.read_csv(tmp_path / "b.csv")["region"])


@pytest.mark.parametrize(
    ("box", "title"),
    [
        ({}, "globe"),
        ({"west": -8, "south": 36, "east": -4, "north": 40}, "36N-40N 8W-4W"),
        ({"west": -110.1875, "south": -1.5, "east": 0, "north": 0}, "1.5S-0 110.1875W-0"),
        ({"west": 0, "south": 0, "east": 10, "north": 5, "name": "Gulf of Guinea"}, "Gulf of Guinea"),
    ],
)
def test_a_domain_without_a_name_is_called_by_its_edges(box, title) -> None:
    assert DomainBlock(**box).title == title


def test_the_configuration_and_its_tables_know_what_to_cite(tmp_path) -> None:
    run = Run(load(REPOSITORY / "config/examples/walnut_gulch_2008.yaml"))
    found = "\n".join(run.about.inputs)
    for text in ("10.1038/sdata.2015.42", "10.1111/gcb.15353", "10.17190/AMF/1246113", "10.15138/P8XG-AA10"):
        assert text in found
    assert "domain.WalnutGulch.0.0625_deg.nc" in found and "../shared" not in found
    data = yaml.safe_load((REPOSITORY / "config/examples/static_soilgrids.yaml").read_text())
    assert "10.5194/soil-7-217-2021" in "\n".join(Run(load(data)).about.inputs)
    data["static"]["lai_series"] = {"path": "lai/MCD15A3H.061_Lai_500m_doy*.tif"}
    data["static"]["layers"].pop("lai")
    data["forcing"] |= {"source": "mapping", "mapping": str(tmp_path / "own.yaml")}
    data["sites"]["entries"] = [{"source": "fluxnet", "path": str(tmp_path)}]
    (tmp_path / "FLX_US-Xx1_FLUXNET-CH4_DD_2010-2011_1-1.csv").touch()
    (tmp_path / "own.yaml").write_text("title: Weather of my own\ncitation: Me (2026)\n")
    found = "\n".join(Run(load(data)).about.inputs)
    assert "Weather of my own. Me (2026)" in found and "10.5067/MODIS/MCD15A3H.006" in found
    assert "10.5194/essd-13-3607-2021" in found
    (tmp_path / "own.yaml").unlink()  # ingest says so; here the name has to do
    assert "forcing: own.yaml" in Run(load(data)).about.inputs


def test_facts_that_cannot_be_read_are_refused() -> None:
    about = About("a", "b", True, ("c: d",))
    assert About.from_json(about.to_json()) == about and About.from_json("{}") == About()
    for text in ("nothing", '{"runs": "a"}', "[1]"):
        with pytest.raises(ConfigError, match="--about"):
            About.from_json(text)
