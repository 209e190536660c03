"""Whole numbers that kernels read: known where the caller tells them, and nothing else is."""

import numpy as np
import pytest

from goodput.readers.ttir_index import Mask, constant, tile
from goodput.readers.ttir_text import Type
from goodput.readers.ttir_values import SPACE, Memory

PLACE, FIRST = 3, np.zeros(1, np.intp)
NUMBERS = np.array([5, 0, -7, 9, 2, 4, 8, 1], np.int32)
KIND = Type((8,), "!tt.ptr<i32>")
EVERYWHERE = Mask.everywhere((8,))


@pytest.fixture
def memory():
    return Memory({PLACE: NUMBERS})


def addresses(step=4, offset=0):
    return tile(np.arange(8) * step).plus(PLACE * SPACE + offset)


def values(index):
    return np.broadcast_to(index.values(FIRST), (1, 8)).ravel().tolist()


def test_numbers_are_those_at_their_addresses(memory):
    assert values(memory.load(addresses(), EVERYWHERE, KIND, ())) == NUMBERS.tolist()
    assert values(memory.load(addresses(step=0, offset=8), EVERYWHERE, KIND, ())) == [-7] * 8
    assert memory.used == {PLACE}
    assert not memory.is_stale


def test_what_a_mask_closes_is_what_the_kernel_puts_there(memory):
    mask = tile(np.arange(8)).plus(-3).below_zero()
    found = memory.load(addresses(), mask, KIND, (constant(-1, (8,)),))
    assert values(found) == [5, 0, -7, -1, -1, -1, -1, -1]
    # Beyond the storage only what is masked off may be asked for.
    found = memory.load(addresses(step=400), mask, KIND, (constant(-1, (8,)),))
    assert values(found)[3:] == [-1] * 5


@pytest.mark.parametrize(
    ("address", "mask", "kind"),
    [
        (tile(np.arange(8)).plus(7 * SPACE), EVERYWHERE, KIND),
        (addresses(), Mask.everywhere((8,), "tt.load"), KIND),
        (addresses(), EVERYWHERE, Type((8,), "!tt.ptr<f32>")),
        (addresses(), EVERYWHERE, Type((8,), "!tt.ptr<i64>")),
        (object(), EVERYWHERE, KIND),
    ],
    ids=["another tensor", "a mask of data", "no whole numbers", "of another size", "no address"],
)
def test_anything_else_is_unknown(memory, address, mask, kind):
    assert memory.load(address, mask, kind, ()) is None
    assert not memory.used


def test_what_the_kernel_writes_is_no_longer_known(memory):
    memory.load(addresses(), EVERYWHERE, KIND, ())
    memory.note_write(addresses().plus(2 * SPACE))
    assert not memory.is_stale
    memory.note_write(addresses())
    assert memory.is_stale


def test_a_write_that_nobody_can_place_may_be_anywhere(memory):
    memory.note_write(object())
    assert not memory.is_stale  # nothing was taken for known
    memory.load(addresses(), EVERYWHERE, KIND, ())
    assert memory.is_stale
