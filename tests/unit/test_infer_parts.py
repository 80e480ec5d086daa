"""Parts of inference: packing, store, blocks, scheduling, estimates, applicability."""

from pathlib import Path

import numpy as np
import pytest

from fluxatlas import variables
from fluxatlas.errors import ConfigError, MemoryLimitError
from fluxatlas.infer.engine import make_engine
from fluxatlas.infer.memory import predict, refuse_above
from fluxatlas.infer.packing import pack
from fluxatlas.infer.sharing import MOST_THREADS, choose_scheduler, make_blocks
from fluxatlas.infer.statistics import uncertainty
from fluxatlas.infer.store import Store
from fluxatlas.variables import FILL


@pytest.mark.parametrize("name", ["fch4", "ch4ox", "tsl05", "swc05"])
def test_packing_errs_by_at_most_half_a_step_over_the_valid_range(name: str) -> None:
    row = variables.get(name)
    assert row.packing is not None
    scale, offset = row.packing
    values = np.linspace(*row.valid, 10_001).astype(np.float32)
    packed, outside = pack(values, row)
    assert packed.dtype == np.int16 and outside == 0 and (packed != FILL).all()
    assert np.abs(packed * scale + offset - values).max() <= 0.5 * scale * (1 + 1e-3)


def test_packing_never_clips() -> None:
    row = variables.get("ch4ox")  # valid 0..25, int16 holds -1.38..31.38
    packed, outside = pack(np.array([-1.0, 26.0, 31.3, 40.0, -5.0, np.nan, np.inf], np.float32), row)
    assert outside == 6
    np.testing.assert_array_equal(packed[:3] * 0.0005 + 15, [-1.0, 26.0, 31.3])
    assert (packed[3:] == FILL).all()


def test_store_gives_back_what_was_written_block_by_block(tmp_path: Path) -> None:
    store = Store(str(tmp_path), cells=7, days=10, chunk=4)
    store.create(["a", "b"])
    truth = np.random.default_rng(0).integers(-30000, 30000, (10, 7)).astype(np.int16)
    for days in store.sections:
        for start, stop in ((3, 7), (0, 3)):
            store.write("a", days, start, truth[days, start:stop])
            store.write("b", days, start, -truth[days, start:stop])
    assert [(s.start, s.stop) for s in store.sections] == [(0, 4), (4, 8), (8, 10)]
    for days in store.sections:
        np.testing.assert_array_equal(store.read("a", days), truth[days])
        np.testing.assert_array_equal(store.read("b", days), -truth[days])


@pytest.mark.parametrize(("cells", "size"), [(1, 10), (10, 10), (11, 10), (1000, 384), (0, 5)])
def test_blocks_cover_every_cell_once(cells: int, size: int) -> None:
    covered = [cell for block in make_blocks(cells, size) for cell in range(block.start, block.stop)]
    assert covered == list(range(cells))
    assert all(block.stop - block.start <= size for block in make_blocks(cells, size))


def test_blocks_are_cut_smaller_to_keep_several_workers_busy() -> None:
    assert len(make_blocks(1000, 384, workers=2)) == 8
    assert [block.stop - block.start for block in make_blocks(100, 384, workers=8)] == [64, 36]


def test_scheduler_is_chosen_by_workers() -> None:
    assert choose_scheduler("auto", 1, 9) == "serial"
    assert choose_scheduler("processes", 4, 1) == "serial"
    assert choose_scheduler("auto", MOST_THREADS, 9) == "threads"
    assert choose_scheduler("auto", MOST_THREADS + 1, 90) == "processes"
    assert choose_scheduler("processes", 2, 9) == "processes"


def test_uncertainty_is_the_spread_of_members_and_of_places() -> None:
    values = np.random.default_rng(0).normal(0, 1, (4, 3, 2)).astype(np.float32)
    none, lines = np.zeros((4, 2), np.float32), np.array([[0.1, 0.5]] * 4, np.float32)
    members = np.std(values.astype(float), axis=0, ddof=1)
    np.testing.assert_allclose(uncertainty(values, none), members, rtol=1e-5)
    places = np.mean((0.1 + 0.5 * np.abs(values.astype(float))) ** 2, axis=0)
    np.testing.assert_allclose(uncertainty(values, lines), np.sqrt(members**2 + places), rtol=1e-5)
    assert np.isnan(uncertainty(values[:1], none[:1])).all()
    np.testing.assert_allclose(uncertainty(values[:1], lines[:1]), 0.1 + 0.5 * np.abs(values[0]), rtol=1e-5)


def test_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'torch'"):
        make_engine("torhc", None)  # type: ignore[arg-type]


def test_memory_grows_with_every_shape() -> None:
    base = {
        "tile_cells": 57_600,
        "land_cells": 30_000,
        "state": 96,
        "working": 14_000,
        "members": 3,
        "workers": 2,
        "days": 365,
    }
    base |= {"block": 384, "time_chunk": 73, "piece_cells": 400, "forcing": 9, "outputs": 6}
    reference = predict(**base, processes=False)
    for key, value in base.items():
        assert predict(**{**base, key: 2 * value}, processes=False) > reference, key
    assert predict(**base, processes=True) > reference + 2 * 300e6


def test_memory_refusal_states_both_numbers() -> None:
    refuse_above(999_000_000, 1000, where="tile")
    with pytest.raises(MemoryLimitError, match=r"need 1,500 MB, 1,000 MB are allowed") as caught:
        refuse_above(1_500_000_000, 1000, where="tile N38W124")
    assert caught.value.where == "tile N38W124" and "--memory-mb" in caught.value.hint
