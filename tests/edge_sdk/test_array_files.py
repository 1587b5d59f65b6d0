from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.array_files import read_npz
from edge_sdk.errors import DataError
from edge_sdk_runtime.preprocess import Color, PreprocessSpec


def arrays(**changes: Any) -> dict[str, Any]:
    """A set of two classes with 20 training and 6 test images of 5×4, changed as told; None leaves an array out."""
    rng = np.random.default_rng(0)
    whole = {
        "x_train": rng.integers(0, 256, (20, 4, 5), dtype=np.uint8),
        "y_train": np.arange(20) % 2,
        "x_test": rng.integers(0, 256, (6, 4, 5), dtype=np.uint8),
        "y_test": np.arange(6, dtype=np.uint8) % 2,
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shapes.npz"


def test_test_images_are_kept_and_validation_is_taken_from_training(path: Path) -> None:
    np.savez_compressed(path, **arrays())
    splits = read_npz(path)
    assert (splits.name, splits.labels) == ("shapes", ("0", "1"))
    assert [part.counts.tolist() for part in (splits.train, splits.validation, splits.test)] == [[9, 9], [1, 1], [3, 3]]
    assert sorted(splits.test.names)[0] == "test/00000"
    assert splits.spec == PreprocessSpec(5, 4, color=Color.GRAY)


def test_frames_and_targets_belong_to_their_names(path: Path) -> None:
    data = arrays(x_train=np.random.default_rng(1).integers(0, 256, (20, 4, 5, 3), dtype=np.uint8))
    np.savez(path, **data)
    train = read_npz(path).train
    for i, (name, target) in enumerate(zip(train.names, train.targets, strict=True)):
        index = int(name.removeprefix("train/"))
        assert target == data["y_train"][index]
        np.testing.assert_array_equal(train[i], data["x_train"][index, :, :, ::-1])


def test_labels_and_columns_of_targets_are_taken_as_they_are_customary(path: Path) -> None:
    data = arrays(labels=np.array(["mug", "tasse à café"]), y_train=(np.arange(20) % 2)[:, None])
    np.savez(path, **data)
    assert read_npz(path).labels == ("mug", "tasse à café")


def test_the_limit_counts_per_class_and_part(path: Path) -> None:
    np.savez(path, **arrays())
    splits = read_npz(path, limit=3)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [4, 2, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "Add x_test"),
        ({"x_train": np.zeros((20, 4, 5), np.float32)}, "x_train must be uint8"),
        ({"x_train": np.zeros((20, 20), np.uint8)}, "x_train must be uint8"),
        ({"x_train": np.zeros((20, 4, 5, 2), np.uint8)}, r"Received: uint8 \[20, 4, 5, 2\]"),
        ({"x_test": np.zeros((0, 4, 5), np.uint8), "y_test": np.zeros(0, int)}, "at least one image"),
        ({"y_train": np.zeros(20)}, "y_train must be 20 class indices"),
        ({"y_train": np.zeros(19, int)}, r"Received: int64 \[19\]"),
        ({"y_test": np.array([0, 1, 0, 1, 0, -1])}, "from 0"),
        ({"y_train": np.zeros(20, int), "y_test": np.zeros(6, int)}, "at least 2 classes"),
        ({"y_test": np.zeros(6, int)}, "0 of '1'"),
        ({"labels": np.array(["mug"])}, "labels must be 2 different strings"),
        ({"labels": np.array(["mug", "mug"])}, "labels must be 2 different strings"),
        ({"labels": np.array([1, 2])}, "labels must be 2 different strings"),
        ({"labels": np.array(["mug", None], object)}, "without Python objects"),
    ],
)
def test_wrong_arrays_are_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    np.savez(path, **arrays(**changes))
    with pytest.raises(DataError, match=message) as caught:
        read_npz(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 nor this"])
def test_what_is_no_npz_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"readable \.npz file"):
        read_npz(path)


def test_damaged_compression_is_refused(path: Path) -> None:
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    content[60:400] = bytes(340)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"readable \.npz file"):
        read_npz(path)


def test_a_single_array_is_refused(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="a single array"):
        read_npz(path)
