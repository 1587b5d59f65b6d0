from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import (
    FrameError,
    ImageReadError,
    Interpolation,
    Preprocessor,
    PreprocessSpec,
    as_frame,
    decode_image,
    read_image,
)
from tests.runtime.helpers import exif_segment, jpeg_segment, jpeg_with

FRAME = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


@pytest.fixture
def corners() -> np.ndarray:
    """Black, one quarter white, in blocks of 16 pixels so that JPEG keeps it."""
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[:16, :32] = 255
    return frame


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tiff"])
def test_lossless_files_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(encoded(suffix, FRAME))
    frame = read_image(path)
    assert frame.dtype == np.uint8
    np.testing.assert_array_equal(frame, FRAME)
    np.testing.assert_array_equal(read_image(str(path)), FRAME)


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".tiff"])
def test_grey_files_get_three_equal_channels(suffix: str) -> None:
    grey = FRAME[:, :, 0]
    np.testing.assert_array_equal(decode_image(encoded(suffix, grey), "grey"), np.dstack([grey] * 3))


def test_transparency_is_dropped() -> None:
    alpha = np.arange(24 * 32, dtype=np.uint32).reshape(24, 32, 1).astype(np.uint8)
    image = np.concatenate([FRAME, alpha], axis=2)
    np.testing.assert_array_equal(decode_image(encoded(".png", image), "rgba"), FRAME)


@pytest.mark.parametrize(("suffix", "levels"), [(".png", 0), (".tiff", 1)])
def test_16_bit_files_are_reduced_to_8_bits(suffix: str, levels: int) -> None:
    """PNG keeps the upper 8 bits; libtiff divides by 257 and rounds, which may be one level away."""
    image = np.random.default_rng(2).integers(0, 65536, (9, 11, 3), np.uint16)
    frame = decode_image(encoded(suffix, image), "deep")
    assert frame.dtype == np.uint8
    assert np.abs(frame.astype(int) - (image >> 8)).max() <= levels


UPRIGHT: dict[int, Any] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored.transpose(1, 0, 2)[:, ::-1],
    7: lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda stored: stored.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(corners: np.ndarray, orientation: int) -> None:
    stored = encoded(".jpg", corners, cv2.IMWRITE_JPEG_QUALITY, 100)
    frame = decode_image(jpeg_with(stored, exif_segment(orientation)), "photo")
    upright = UPRIGHT[orientation](corners)
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).max() <= 2  # quantization at quality 100


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("thumbnail", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, -2, -1])
def test_truncated_jpegs_are_refused(progressive: int, thumbnail: bool, kept: float) -> None:
    """A thumbnail is a whole JPEG inside, end marker and all."""
    small = encoded(".jpg", FRAME) if thumbnail else b""
    photo = encoded(".jpg", cv2.resize(FRAME, (200, 150)), cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    whole = jpeg_with(photo, exif_segment(1, small))
    assert decode_image(whole, "photo.jpg").shape == (150, 200, 3)
    start = len(whole) - len(photo)
    cut = whole[: start + int(len(photo) * kept)] if kept > 0 else whole[: int(kept)]
    with pytest.raises(ImageReadError, match=rf"photo\.jpg, cut off after {len(cut)} bytes\. Copy it again"):
        decode_image(cut, "photo.jpg")


@pytest.mark.parametrize("length", [2, 3, 5, 20])
def test_jpegs_cut_off_in_their_header_are_refused(length: int) -> None:
    with pytest.raises(ImageReadError, match="cut off"):
        decode_image(encoded(".jpg", FRAME)[:length], "photo.jpg")


def test_jpegs_with_comments_fill_bytes_and_trailing_bytes_are_whole() -> None:
    plain = encoded(".jpg", FRAME)
    expected = decode_image(plain, "plain")
    odd = jpeg_with(plain, jpeg_segment(0xFE, b"\xff\xd9 a comment \xff\xda"), b"\xff\xff") + b"\0\0"
    np.testing.assert_array_equal(decode_image(odd, "odd"), expected)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_other_truncated_files_are_refused(suffix: str, kept: float) -> None:
    whole = encoded(suffix, FRAME)
    with pytest.raises(ImageReadError, match="photo"):
        decode_image(whole[: int(len(whole) * kept)], "photo")


@pytest.mark.parametrize(
    ("content", "received"),
    [(b"", "0 bytes"), (b"not a picture\n" * 9, "126 bytes"), (b"\0" * 100, "100 bytes")],
)
def test_refuses_files_without_an_image(tmp_path: Path, content: bytes, received: str) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=rf"Received: .*notes\.jpg, {received}.*(Remove|re-save)"):
        read_image(path)


def test_refuses_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"absent\.png \(No such file or directory\)\. Check the path\.$"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageReadError, match="Is a directory"):
        read_image(tmp_path)
    with pytest.raises(OSError, match="absent"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize("name", ["Grüße aus Köln.png", "写真.png", "emoji 🐈.png"])
def test_reads_files_of_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(".png", FRAME))
    np.testing.assert_array_equal(read_image(path), FRAME)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_arrays_become_bgr(channels: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (5, 6, channels), np.uint8)
    blue, green, red = as_frame(image)[2, 3]
    assert [red, green, blue] == image[2, 3, :3].tolist()
    np.testing.assert_array_equal(as_frame(image, "bgr"), image[:, :, :3])
    assert as_frame(image).flags.c_contiguous
    assert as_frame(image, "bgr").flags.c_contiguous


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1)])
def test_grey_arrays_get_three_equal_channels(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    frame = as_frame(image)
    assert frame.shape == (5, 6, 3)
    assert frame.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_array_equal(frame[:, :, channel], image.reshape(5, 6))


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3), (5, 6, 4)])
def test_16_bit_arrays_keep_their_upper_8_bits(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(5).integers(0, 65536, shape, np.uint16)
    np.testing.assert_array_equal(as_frame(image, "bgr"), as_frame((image >> 8).astype(np.uint8), "bgr"))


def test_views_become_contiguous_frames() -> None:
    image = np.random.default_rng(6).integers(0, 256, (10, 12, 3), np.uint8)[::-2, ::3]
    frame = as_frame(image)
    assert frame.flags.c_contiguous
    np.testing.assert_array_equal(frame, image[:, :, ::-1])


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (np.zeros((4, 4, 3)), r"float64 \[4, 4, 3\]"),
        (np.zeros((4, 4, 2), np.uint8), r"\[4, 4, 2\]"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\[1, 4, 4, 3\]"),
        (np.zeros(4, np.uint8), r"\[4\]"),
        (np.zeros((), np.uint8), r"\[\]"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
        ([[1, 2], [3, 4]], "list"),
        (None, "NoneType"),
    ],
)
def test_refuses_other_layouts(image: Any, received: str) -> None:
    with pytest.raises(FrameError, match=rf"Received: .*{received}\. Convert it"):
        as_frame(image)


def test_refuses_an_unknown_channel_order() -> None:
    with pytest.raises(FrameError, match=r"order must be 'rgb' or 'bgr'\. Received: 'RGB'"):
        as_frame(FRAME, "RGB")


def photograph(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("covering", "scale"),
    [((32, 32), 8), ((60, 60), 8), ((61, 61), 4), ((120, 90), 4), ((200, 224), 2), ((300, 20), 1)],
)
def test_jpegs_are_decoded_at_the_smallest_scale_that_covers_the_input(covering: tuple[int, int], scale: int) -> None:
    content = encoded(".jpg", photograph(480, 640))
    assert decode_image(content, "photo.jpg", covering).shape == (480 // scale, 640 // scale, 3)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_reduced_jpegs_are_the_right_way_up_and_close_to_whole_ones(orientation: int) -> None:
    content = jpeg_with(encoded(".jpg", photograph(480, 640), cv2.IMWRITE_JPEG_QUALITY, 95), exif_segment(orientation))
    whole, reduced = decode_image(content, "whole.jpg"), decode_image(content, "reduced.jpg", (100, 100))
    assert reduced.shape == (whole.shape[0] // 4, whole.shape[1] // 4, 3)
    preprocess = Preprocessor(PreprocessSpec(96, 96, interpolation=Interpolation.AREA))
    # Cutting off the higher frequencies is another filter than averaging: 0.4 to 3.1 levels apart on photographs.
    assert np.abs(preprocess(whole).astype(int) - preprocess(reduced)).mean() <= 3


def test_other_formats_are_decoded_whole() -> None:
    content = encoded(".png", photograph(96, 128))
    assert decode_image(content, "photo.png", (8, 8)).shape == (96, 128, 3)
