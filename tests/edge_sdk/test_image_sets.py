from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.image_sets import ArrayFrames, EncodedFrames, FileFrames, ImageSet
from edge_sdk_runtime.errors import ImageReadError


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


def image_set(pixels: np.ndarray) -> ImageSet:
    return ImageSet(("a", "b", "c"), np.array([0, 1, 1]), ("x", "y", "z"), ArrayFrames(pixels), np.arange(3))


def test_arrays_are_rgb_and_frames_are_bgr(rgb: np.ndarray) -> None:
    np.testing.assert_array_equal(image_set(rgb)[1], rgb[1, :, :, ::-1])


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1)])
def test_grey_arrays_become_three_equal_channels(shape: tuple[int, ...]) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(shape)
    frame = image_set(pixels)[2]
    assert frame.shape == (4, 5, 3)
    for channel in range(3):
        np.testing.assert_array_equal(frame[:, :, channel], pixels[2].reshape(4, 5))


def test_taking_keeps_names_targets_and_frames_together(rgb: np.ndarray) -> None:
    taken = image_set(rgb).take(np.array([2, 0])).take(np.array([1, 0, 0]))
    assert taken.names == ("x", "z", "z")
    assert taken.targets.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(taken[0], rgb[0, :, :, ::-1])
    np.testing.assert_array_equal(taken[2], rgb[2, :, :, ::-1])


def test_counts_include_classes_without_images(rgb: np.ndarray) -> None:
    images = image_set(rgb)
    assert len(images) == 3
    assert images.counts.tolist() == [1, 2, 0]


def test_encoded_files_are_decoded_when_read(rgb: np.ndarray) -> None:
    source = EncodedFrames((cv2.imencode(".png", rgb[0])[1].tobytes(), b""), ("good.png", "empty.png"))
    np.testing.assert_array_equal(source.read(0), rgb[0])
    with pytest.raises(ImageReadError, match=r"empty\.png"):
        source.read(1)


def test_files_are_read_again_unless_kept(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), rgb[0])
    np.testing.assert_array_equal(FileFrames((path,)).read(0), rgb[0])
    path.unlink()
    np.testing.assert_array_equal(FileFrames((path,), {0: rgb[1]}).read(0), rgb[1])
    with pytest.raises(ImageReadError, match=r"a\.png"):
        FileFrames((path,)).read(0)


def test_fewer_images_stay_in_their_parts() -> None:
    from edge_sdk.data import load_images

    every = load_images("digits", seed=3)
    few = every.at_most(4)
    for part in ("train", "validation", "test"):
        chosen = getattr(few, part)
        assert chosen.counts.tolist() == [4] * 10
        assert set(chosen.names) < set(getattr(every, part).names)
    assert every.at_most(None) is every
