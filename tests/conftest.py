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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no core waits at the end for a file that began last; not both whole chains at once."""
    long = ("tests/end_to_end/test_tiny_run.py", "tests/workflow/", "tests/end_to_end/")

    def place(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(long) if item.nodeid.startswith(start)), len(long))

    items.sort(key=place)
