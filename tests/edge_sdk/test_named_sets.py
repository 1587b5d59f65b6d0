import os
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.image_sets import Splits
from edge_sdk.named_sets import DATA_VARIABLE, NAMED_SETS, read_named_set
from edge_sdk_runtime.preprocess import Color, PreprocessSpec

needs_data = pytest.mark.skipif(
    not os.environ.get(DATA_VARIABLE),
    reason=f"needs {DATA_VARIABLE}: a folder with mnist.npz, fashion_mnist.npz, cifar10.zip",
)


def sizes(splits: Splits) -> list[int]:
    return [len(splits.train), len(splits.validation), len(splits.test)]


def write_cifar10(path: Path, labels: tuple[str, ...]) -> None:
    """Write an archive with four training images and one test image of each class; pixels hold the class index."""
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", 4), ("test", 1)):
            for target, label in enumerate(labels):
                content = cv2.imencode(".jpg", np.full((32, 32, 3), target * 20, np.uint8))[1].tobytes()
                for i in range(count):
                    archive.writestr(f"cifar10/{part}/{label}/{i:04d}.jpg", content)


def test_digits_need_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    splits = read_named_set("digits")
    assert sum(sizes(splits)) == 1797
    assert sizes(splits)[2] == pytest.approx(0.2 * 1797, abs=5)
    assert splits.labels == tuple("0123456789")
    assert splits.spec == PreprocessSpec(8, 8, color=Color.GRAY)
    assert not splits.flips
    frames = np.stack([splits.train[i] for i in range(100)])
    assert (frames.min(), frames.max()) == (0, 255)


def test_mnist_is_read_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    x, y = np.zeros((40, 28, 28), np.uint8), np.arange(40, dtype=np.uint8) % 10
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    splits = read_named_set("mnist")
    assert sizes(splits) == [30, 10, 10]
    assert splits.spec == PreprocessSpec(28, 28, color=Color.GRAY)


def test_cifar10_is_read_from_the_archive_and_says_that_it_was_reencoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    write_cifar10(tmp_path / "cifar10.zip", NAMED_SETS["cifar10"].labels)
    splits = read_named_set("cifar10")
    assert sizes(splits) == [30, 10, 10]
    assert "re-encoded as JPEG" in splits.note
    assert splits.flips
    for i, (name, target) in enumerate(zip(splits.train.names, splits.train.targets, strict=True)):
        assert name.startswith(f"train/{splits.labels[target]}/")
        assert splits.train[i].mean() == pytest.approx(target * 20, abs=2)


def test_an_archive_with_other_classes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    write_cifar10(tmp_path / "cifar10.zip", ("airplane", "zebra"))
    with pytest.raises(DataError, match=r"must hold the classes airplane, .*zebra"):
        read_named_set("cifar10")


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "cifar10.zip").write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"cifar10\.zip must be a whole ZIP file"):
        read_named_set("cifar10")


def test_a_variable_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(DataError, match=f"{DATA_VARIABLE} must name a folder.*gone"):
        read_named_set("mnist")


def test_what_is_not_in_the_folder_comes_from_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), (np.arange(40) % 10)[:, None]
    download = SimpleNamespace(load_data=lambda: ((x, y), (x[:10], y[:10])))
    monkeypatch.setitem(sys.modules, "keras.datasets.cifar10", download)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    splits = read_named_set("cifar10")
    assert sizes(splits) == [30, 10, 10]
    assert splits.note == ""
    first = int(splits.test.names[0].removeprefix("test/"))
    np.testing.assert_array_equal(splits.test[0], x[first, :, :, ::-1])


@pytest.mark.parametrize(
    "error", [Exception("URL fetch failure"), ConnectionResetError("reset"), ValueError("wrong hash")]
)
def test_a_failed_download_says_where_to_put_the_data(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> None:
        raise error

    monkeypatch.setitem(sys.modules, "keras.datasets.mnist", SimpleNamespace(load_data=load_data))
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(DataError, match=f"{error}.*Set {DATA_VARIABLE}"):
        read_named_set("mnist")


def test_programming_errors_are_not_taken_for_failed_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras.datasets.mnist", SimpleNamespace())
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(AttributeError):
        read_named_set("mnist")


@pytest.mark.data
@needs_data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_grey_sets_are_whole(name: str) -> None:
    splits = read_named_set(name)
    assert len(splits.train) + len(splits.validation) == 60_000
    assert splits.test.counts.sum() == 10_000
    assert len(splits.validation) == pytest.approx(6_000, abs=10)
    assert splits.train[0].shape == (28, 28, 3)
    assert splits.note == ""


@pytest.mark.data
@needs_data
def test_the_real_cifar10_has_ten_classes_in_colour() -> None:
    splits = read_named_set("cifar10", limit=20, seed=1)
    assert sizes(splits) == [180, 20, 200]
    frames = np.stack([splits.train[i] for i in range(180)])
    assert frames.shape == (180, 32, 32, 3)
    assert (frames[..., 0] != frames[..., 2]).any()
    assert splits.note
