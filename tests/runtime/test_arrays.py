import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edge_sdk_runtime.arrays import load_arrays
from edge_sdk_runtime.errors import BundleCorruptError
from tests.runtime.helpers import npy, npz

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)
plain_arrays = npst.arrays(
    st.sampled_from([np.dtype(name) for name in ("bool", "uint8", "int64", "float16", "float32", ">f8")]),
    npst.array_shapes(min_dims=0, max_dims=3, max_side=4),
)


@given(plain_arrays)
def test_reads_what_numpy_writes(array: np.ndarray) -> None:
    loaded = load_arrays(npy(array), "table")[""]
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)
    np.testing.assert_array_equal(load_arrays(npz({"x": array}), "tables")["x"], array)


def test_columns_first_arrays_are_read_in_the_right_order() -> None:
    content = npy(np.asfortranarray(TABLE))
    assert b"'fortran_order': True" in content
    np.testing.assert_array_equal(load_arrays(content, "table")[""], TABLE)


def test_arrays_are_writable_and_do_not_share_memory() -> None:
    content = npy(TABLE)
    load_arrays(content, "table")[""][...] = 0
    np.testing.assert_array_equal(load_arrays(content, "table")[""], TABLE)


class Dangerous:
    """Leaves a trace when it is unpickled."""

    opened = False

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return (_open, ())


def _open() -> None:
    Dangerous.opened = True


def test_pickles_are_refused_and_not_opened() -> None:
    file = io.BytesIO()
    np.save(file, np.array([Dangerous()], object), allow_pickle=True)
    for content in (file.getvalue(), pickle.dumps(Dangerous())):
        with pytest.raises(BundleCorruptError, match=r"table must hold plain arrays"):
            load_arrays(content, "table")
    assert not Dangerous.opened


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.array([(1, 2)], "i4,i4")])
def test_other_kinds_of_elements_are_refused(array: np.ndarray) -> None:
    with pytest.raises(BundleCorruptError, match="elements of type"):
        load_arrays(npy(array), "table")


def header(text: str, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text.encode()


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000, 1000000, 1000000)", "(7,)", "(-1, 3)", "('x',)"])
def test_shapes_that_the_file_does_not_hold_are_refused(shape: str) -> None:
    content = header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n") + TABLE.tobytes()
    with pytest.raises(BundleCorruptError, match="table"):
        load_arrays(content, "table")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        header("("),
        header("{'descr': "),
        header("{}\n"),
        header("{'descr': 'O', 'fortran_order': False, 'shape': (1,), }\n"),
        header("__import__('os').abort()\n"),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n", version=2)[:-8],
    ],
)
def test_what_is_no_array_file_is_refused(content: bytes) -> None:
    with pytest.raises(BundleCorruptError):
        load_arrays(content, "table")


FILES = (npy(TABLE), npz({"kernel_0": TABLE, "bias_0": TABLE[0]}))


@settings(max_examples=400)
@given(st.sampled_from(FILES), st.data())
def test_damaged_files_give_arrays_or_one_kind_of_error(content: bytes, data: st.DataObject) -> None:
    """A bundle's hashes find damage first; this is what stands behind them."""
    damaged = bytearray(content)
    for position, value in data.draw(
        st.dictionaries(st.integers(0, len(content) - 1), st.integers(0, 255), min_size=1, max_size=4)
    ).items():
        damaged[position] = value
    kept = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    try:
        arrays = load_arrays(bytes(damaged[:kept]), "table")
    except BundleCorruptError:
        return
    assert all(array.dtype.kind in "biuf" and array.nbytes <= 4096 for array in arrays.values())


def test_an_archive_that_claims_too_much_is_refused() -> None:
    content = bytearray(npz({"x": TABLE}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = ((1 << 30) + 1).to_bytes(4, "little")
    with pytest.raises(BundleCorruptError, match="claims more than"):
        load_arrays(bytes(content), "table")


def test_members_that_are_no_arrays_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(BundleCorruptError, match="table"):
        load_arrays(file.getvalue(), "table")
