"""Which raw files a year is made of, and the settings of the block."""

import subprocess
import sys

import pytest

from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.config.settings import read_settings
from fluxatlas.errors import ConfigError
from fluxatlas.ingest.inputs import closing_inputs, forcing_inputs


def block(**more: object) -> ForcingBlock:
    return ForcingBlock.model_validate(
        {"source": "era5_land", "elevation": "z.nc", "path": "raw/{year}_{month}.nc", **more}
    )


def test_monthly_yearly_and_single_files() -> None:
    assert forcing_inputs(block(), 2001) == [f"raw/2001_{month:02d}.nc" for month in range(1, 13)]
    assert forcing_inputs(block(path="{year}.nc"), 1984) == ["1984.nc"]
    assert forcing_inputs(block(path="all.nc"), 1984) == ["all.nc"]
    lists = block(path=["tas_{year}.nc", "pr_{year}.nc"])
    assert forcing_inputs(lists, 1984) == ["tas_1984.nc", "pr_1984.nc"]
    assert closing_inputs(lists, 1984) == ["tas_1985.nc", "pr_1985.nc"]


def test_the_closing_file_is_the_first_of_the_next_year() -> None:
    assert closing_inputs(block(), 2001) == ["raw/2002_01.nc"]
    assert closing_inputs(block(source="livneh"), 2001) == []
    assert closing_inputs(block(source="livneh", closing="always"), 2001) == ["raw/2002_01.nc"]
    assert closing_inputs(block(closing="never"), 2001) == []
    assert closing_inputs(block(path="all.nc"), 2001) == []
    synthetic = ForcingBlock().model_copy(update={"path": "run/{year}_{month}.nc"})
    assert closing_inputs(synthetic, 2001) == ["run/2002_01.nc"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "no path"), ("{yeer}.nc", "placeholder '{yeer}'.*did you mean 'year'"), ("{year.nc", "is not a pattern")],
)
def test_bad_patterns(path: str, message: str) -> None:
    settings = ForcingBlock().model_copy(update={"path": path})
    with pytest.raises(ConfigError, match=message):
        forcing_inputs(settings, 2001)


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, fluxatlas.ingest.inputs; print({'numpy', 'xarray', 'pydantic', 'yaml'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"source": "era5_land"}', "needs: path, elevation"),
        ('{"source": "mapping", "path": "x", "elevation": "y"}', "needs: mapping"),
        ('{"sorce": "era5_land"}', "did you mean 'source'"),
        ('{"halo": 0}', "halo: .*greater than or equal to 1"),
        ('{"first_year": 2001, "last_year": 2000}', "starts in 2001 but ends in 2000"),
        ('{"overrides": {"wind": {"units": "m s-1"}}}', "overrides.wind.reason: this key is required"),
        ("not json", "the settings are not JSON"),
    ],
)
def test_bad_settings(settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(ForcingBlock, settings)


def test_years_outside_the_archive() -> None:
    assert block(first_year=1990, last_year=2000).years_outside([1989, 1990, 2000, 2001]) == [1989, 2001]
    assert block().years_outside([1950]) == []
