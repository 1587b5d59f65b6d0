from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.data import NAMED_SETS, ImageSet, load_images, prepare
from edge_sdk.errors import DataError
from edge_sdk.image_sets import ArrayFrames
from edge_sdk_runtime.preprocess import Color, Preprocessor, PreprocessSpec


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder "digits" of two classes with twelve images each, of different sizes."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "digits" / label).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(0, 256, (20 + i, 30 - i, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "digits" / label / f"{i}.png"), image)
    return tmp_path / "digits"


def test_a_folder_is_loaded_by_path_or_by_text(photos: Path) -> None:
    assert load_images(photos).labels == load_images(str(photos)).labels == ("cat", "dog")
    assert load_images(photos).spec is None
    assert load_images(photos).flips


def test_a_named_set_wins_over_a_folder_of_its_name_unless_a_path_is_meant(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    assert len(load_images("digits").labels) == 10
    assert len(load_images("./digits").labels) == 2
    assert len(load_images(Path("digits")).labels) == 2


def test_an_npz_file_is_loaded(tmp_path: Path) -> None:
    x, y = np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert len(load_images(tmp_path / "a.npz").test) == 8


def test_a_missing_path_is_told_which_named_sets_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist.*digits, mnist, fashion_mnist, cifar10"):
        load_images(tmp_path / "gone")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("a,b")
    with pytest.raises(DataError, match="which is neither"):
        load_images(tmp_path / "photos.csv")


def test_arguments_out_of_range_are_named() -> None:
    with pytest.raises(DataError, match="seed=-1"):
        load_images("digits", seed=-1)
    with pytest.raises(DataError, match="limit=2"):
        load_images("digits", limit=2)


def test_strict_and_limit_reach_the_folder(photos: Path) -> None:
    (photos / "cat" / "empty.png").write_bytes(b"")
    assert len(load_images(photos).skipped) == 1
    assert load_images(photos, limit=3).test.counts.tolist() == [1, 1]
    with pytest.raises(DataError, match="strict"):
        load_images(photos, strict=True)


def test_the_same_seed_gives_the_same_images() -> None:
    first, second, third = (load_images("digits", seed=seed, limit=20) for seed in (3, 3, 4))
    assert first.train.names == second.train.names
    assert first.test.names != third.test.names
    assert set(first.train.names).isdisjoint(first.test.names + first.validation.names)


def test_preparing_is_what_the_device_does(photos: Path) -> None:
    train, spec = load_images(photos).train, PreprocessSpec(9, 7)
    prepared = prepare(train, spec)
    assert prepared.x.shape == (len(train), 7, 9, 3)
    assert prepared.x.dtype == np.uint8
    np.testing.assert_array_equal(prepared.y, train.targets)
    preprocess = Preprocessor(spec)
    for i in range(len(train)):
        np.testing.assert_array_equal(prepared.x[i], preprocess(train[i]))


@pytest.mark.parametrize(("channels", "color"), [(1, Color.GRAY), (3, Color.RGB)])
def test_the_native_size_leaves_pixels_as_they_are(channels: int, color: Color) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 5, channels), dtype=np.uint8)
    images = ImageSet(("a",), np.zeros(40, np.int64), ("",) * 40, ArrayFrames(pixels), np.arange(40))
    np.testing.assert_array_equal(prepare(images, PreprocessSpec(5, 6, color=color)).x, pixels)


def test_preparing_nothing_gives_nothing() -> None:
    none = load_images("digits").train.take(np.empty(0, np.int64))
    assert prepare(none, NAMED_SETS["digits"].spec).x.shape == (0, 8, 8, 1)


def test_progress_of_preparing_counts_images() -> None:
    told: list[tuple[int, int]] = []
    images = load_images("digits").test
    prepare(images, NAMED_SETS["digits"].spec, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(images), len(images))
