"""Damaged files of every format raise one clear error, in little memory."""

import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from small_files import BIAS
from small_files import FILES

from keras_squeezenet.pretrained import readers

# Bytes that Python and NumPy may allocate for files of at most 50 kB.
PEAK = 8 * 2**20
every_file = pytest.mark.parametrize("name", FILES)


def outcome(suffix, content, folder):
    """Return the arrays of a file, or `None` if it is rejected."""
    path = folder / f"damaged{suffix}"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return readers.read(path)
    except ValueError as error:
        assert str(error).startswith(f"{path} cannot be read as ")
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < PEAK


@st.composite
def damages(draw, content):
    """The content of a file with one to four random changes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("flip", "run", "cut", "copy", "insert")))
        at = draw(st.integers(0, max(0, len(content) - 1)))
        if kind == "cut":
            del content[at:]
        elif kind == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "run":
            length = draw(st.sampled_from((1, 2, 4, 8)))
            content[at : at + length] = length * draw(
                st.sampled_from((b"\xff", b"\0", b"\x7f", b"\x80"))
            )
        elif kind == "copy":
            start = draw(st.integers(0, len(content)))
            content[at:at] = content[start : start + 64]
        else:
            content[at:at] = draw(st.binary(min_size=1, max_size=16))
    return bytes(content)


@every_file
def test_undamaged_file_is_read(name, tmp_path):
    suffix, content = FILES[name]
    kernel, bias = outcome(suffix, content, tmp_path)["conv1"]
    if name == "net":
        assert kernel.shape == (7, 7, 3, 96)
    else:
        assert kernel.shape == (1, 1, 3, 2)
        np.testing.assert_array_equal(bias, BIAS)


@every_file
def test_damaged_file_is_read_or_refused(name, tmp_path):
    suffix, content = FILES[name]
    outcomes = []

    # The deadline, in milliseconds, catches endless loops.
    @hypothesis.settings(
        max_examples=300, deadline=5000, derandomize=True, database=None
    )
    @hypothesis.given(damages(content))
    def read(damaged):
        arrays = outcome(suffix, damaged, tmp_path)
        outcomes.append(arrays)
        for pair in (arrays or {}).values():
            assert all(array.dtype == "float32" for array in pair)

    read()
    assert None in outcomes


@every_file
def test_random_bytes_are_refused(name, tmp_path):
    suffix, content = FILES[name]
    rng = np.random.default_rng(0)
    for length in (0, 1, 7, 100, 10_000):
        for start in (b"", content[:16]):
            assert outcome(suffix, start + rng.bytes(length), tmp_path) is None


@every_file
def test_truncated_file_is_refused_wherever_it_ends(name, tmp_path):
    suffix, content = FILES[name]
    whole = outcome(suffix, content, tmp_path)
    step = max(1, len(content) // 400)
    for length in range(0, len(content), step):
        arrays = outcome(suffix, content[:length], tmp_path)
        # A protocol buffer may end between two fields.
        assert arrays is None or name == "caffemodel"
        for layer, pair in (arrays or {}).items():
            for array, expected in zip(pair, whole[layer], strict=True):
                np.testing.assert_array_equal(array, expected)
