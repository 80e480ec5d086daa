"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("FLUXATLAS_DATA", REPOSITORY.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set FLUXATLAS_DATA)")
    return folder
