"""Every mode against expressions written with OpenCV alone."""

import math
import tracemalloc
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime import Color, FrameError, Interpolation, Preprocessor, PreprocessSpec, ResizeMode, UsageError
from edge_sdk_runtime.preprocess import Pixels, Region

WIDTH, HEIGHT = 24, 16
SHAPES = [  # height, width
    (64, 96),  # the model's aspect ratio, bigger
    (176, 264),  # eleven times as large
    (160, 240),  # ten times
    (172, 285),  # odd
    (75, 131),  # bigger, odd
    (131, 75),
    (9, 13),  # smaller
    (16, 24),  # equal
    (24, 16),  # bigger one way, smaller the other
    (16, 40),  # equal one way
    (40, 24),
    (1, 1),
    (2, 700),  # very wide
    (700, 2),  # very tall
    (1, 300),
    (300, 1),
]
EVERY_SPEC = [
    PreprocessSpec(WIDTH, HEIGHT, resize, interpolation, color)
    for resize in ResizeMode
    for interpolation in Interpolation
    for color in Color
]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


def samples(size: int, new: int) -> int:
    if size % new == 0 and size // new <= 6:
        return size
    return new * (2 if size / new < 5 else 4 if size / new < 10 else 6)


def resized(frame: np.ndarray, width: int, height: int, interpolation: Interpolation) -> np.ndarray:
    rows, columns = frame.shape[:2]
    shrinks = columns >= width and rows >= height
    if interpolation is Interpolation.FAST_AREA and columns // width >= 2 and rows // height >= 2:
        if columns % 2 == 0 == rows % 2 and 10 <= columns / width < 12 and 10 <= rows / height < 12:
            columns, rows = columns // 2, rows // 2
            frame = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
        sampled = (samples(columns, width), samples(rows, height))
        if sampled != (columns, rows):
            frame = cv2.resize(frame, sampled, interpolation=cv2.INTER_LINEAR)
        while frame.shape[1] // width % 2 == 0 and frame.shape[0] // height % 2 == 0:
            frame = cv2.resize(frame, (frame.shape[1] // 2, frame.shape[0] // 2), interpolation=cv2.INTER_AREA)
    flag = cv2.INTER_AREA if shrinks and interpolation is not Interpolation.LINEAR else cv2.INTER_LINEAR
    return cv2.resize(frame, (width, height), interpolation=flag)


def half_up(number: Fraction) -> int:
    return math.floor(number + Fraction(1, 2))


def center_cropped(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    rows, columns = frame.shape[:2]
    if columns * height > rows * width:
        kept = max(1, half_up(Fraction(rows * width, height)))
        return frame[:, (columns - kept) // 2 :][:, :kept]
    kept = max(1, half_up(Fraction(columns * height, width)))
    return frame[(rows - kept) // 2 :][:kept]


def letterboxed(frame: np.ndarray, width: int, height: int, interpolation: Interpolation) -> np.ndarray:
    rows, columns = frame.shape[:2]
    new_width, new_height = width, height
    if columns * height > rows * width:
        new_height = max(1, half_up(Fraction(rows * width, columns)))
    else:
        new_width = max(1, half_up(Fraction(columns * height, rows)))
    top, left = (height - new_height) // 2, (width - new_width) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resized(frame, new_width, new_height, interpolation)
    return canvas


def expected(frame: np.ndarray, spec: PreprocessSpec) -> np.ndarray:
    frame = np.ascontiguousarray(frame)
    if spec.resize is ResizeMode.LETTERBOX:
        fitted = letterboxed(frame, spec.width, spec.height, spec.interpolation)
    else:
        part = center_cropped(frame, spec.width, spec.height) if spec.resize is ResizeMode.CENTER_CROP else frame
        fitted = resized(np.ascontiguousarray(part), spec.width, spec.height, spec.interpolation)
    if spec.color is Color.GRAY:
        return cv2.cvtColor(fitted, cv2.COLOR_BGR2GRAY)[:, :, np.newaxis]
    return cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB)


def spec_id(spec: PreprocessSpec) -> str:
    return f"{spec.resize.value}-{spec.interpolation.value}-{spec.color.value}"


every_spec = pytest.mark.parametrize("spec", EVERY_SPEC, ids=spec_id)


@every_spec
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matches_plain_opencv(spec: PreprocessSpec, shape: tuple[int, int]) -> None:
    frame = noise(*shape, 3)
    image = Preprocessor(spec)(frame)
    assert (image.shape, image.dtype) == (spec.shape, np.uint8)
    np.testing.assert_array_equal(image, expected(frame, spec))


@every_spec
@pytest.mark.parametrize(
    "view",
    [
        np.s_[::-1],
        np.s_[:, ::-1],
        np.s_[:, :, ::-1],
        np.s_[::2, ::3],
        np.s_[::-2, ::-1],
        np.s_[5:40, 7:60],
    ],
    ids=["upside-down", "mirrored", "channels-reversed", "skipping", "skipping-backwards", "part"],
)
def test_views_give_what_their_copies_give(spec: PreprocessSpec, view: Any) -> None:
    frame = noise(80, 90, 3)[view]
    assert not frame.flags.c_contiguous
    before = frame.copy()
    np.testing.assert_array_equal(Preprocessor(spec)(frame), expected(before, spec))
    np.testing.assert_array_equal(frame, before)


def test_transposed_views_give_what_their_copies_give() -> None:
    frame = noise(50, 70, 3).transpose(1, 0, 2)
    np.testing.assert_array_equal(Preprocessor(EVERY_SPEC[0])(frame), expected(frame, EVERY_SPEC[0]))


@every_spec
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_into_writes_the_given_memory_and_nothing_else(spec: PreprocessSpec, shape: tuple[int, int]) -> None:
    frame = noise(*shape, 3)
    buffer = np.full((3, *spec.shape), 77, np.uint8)
    Preprocessor(spec).into(frame, buffer[1])
    np.testing.assert_array_equal(buffer[1], expected(frame, spec))
    assert (buffer[0] == 77).all()
    assert (buffer[2] == 77).all()


@every_spec
def test_read_only_frames_are_accepted(spec: PreprocessSpec) -> None:
    frame = noise(30, 40, 3)
    frame.flags.writeable = False
    np.testing.assert_array_equal(Preprocessor(spec)(frame), expected(frame, spec))


@every_spec
def test_no_state_leaks_between_frames_of_different_shapes(spec: PreprocessSpec) -> None:
    preprocess = Preprocessor(spec)
    out = np.empty(spec.shape, np.uint8)
    for shape in [*SHAPES, *reversed(SHAPES), *SHAPES]:
        frame = noise(*shape, 3)
        preprocess.into(frame, out)
        np.testing.assert_array_equal(out, expected(frame, spec), err_msg=f"frame {shape}")


def test_more_shapes_than_are_remembered() -> None:
    preprocess = Preprocessor(EVERY_SPEC[-1])
    for width in [*range(1, 150), *range(1, 150)]:
        frame = noise(20, width, 3)
        np.testing.assert_array_equal(preprocess(frame), expected(frame, EVERY_SPEC[-1]))


def test_results_are_arrays_of_their_own() -> None:
    preprocess = Preprocessor(PreprocessSpec(4, 4))
    first = preprocess(np.full((8, 8, 3), 10, np.uint8))
    preprocess(np.full((8, 8, 3), 200, np.uint8))
    assert (first == 10).all()


sides = st.integers(1, 60)


@given(sides, sides, sides, sides, st.sampled_from(EVERY_SPEC))
def test_any_frame_fits_any_input(width: int, height: int, columns: int, rows: int, kind: PreprocessSpec) -> None:
    spec = PreprocessSpec(width, height, kind.resize, kind.interpolation, kind.color)
    frame = noise(rows, columns, 3)
    np.testing.assert_array_equal(Preprocessor(spec)(frame), expected(frame, spec))


@pytest.mark.parametrize(
    ("mode", "columns", "rows"),
    [(ResizeMode.LETTERBOX, 13, 208), (ResizeMode.LETTERBOX, 169, 208), (ResizeMode.CENTER_CROP, 82, 69)],
)
def test_halves_of_a_pixel_round_up(mode: ResizeMode, columns: int, rows: int) -> None:
    """Shapes whose exact size ends in one half; in floating point the same formula gives a little less."""
    spec = PreprocessSpec(160, 120, mode, Interpolation.LINEAR)
    frame = noise(rows, columns, 3)
    np.testing.assert_array_equal(Preprocessor(spec)(frame), expected(frame, spec))


@pytest.mark.parametrize("mode", [ResizeMode.LETTERBOX, ResizeMode.CENTER_CROP])
def test_geometry_is_exact_for_all_small_shapes(mode: ResizeMode) -> None:
    frame = noise(41, 41, 3)
    for width, height in ((6, 4), (7, 9), (10, 3)):
        spec = PreprocessSpec(width, height, mode, Interpolation.LINEAR)
        preprocess = Preprocessor(spec)
        for rows in range(1, 41):
            for columns in range(1, 41):
                part = frame[:rows, :columns]
                assert np.array_equal(preprocess(part), expected(part, spec)), (width, height, rows, columns)


def test_red_is_first_in_rgb_and_weighs_three_tenths_in_grey() -> None:
    red = np.zeros((5, 5, 3), np.uint8)
    red[:, :, 2] = 200
    assert Preprocessor(PreprocessSpec(2, 2))(red)[0, 0].tolist() == [200, 0, 0]
    assert Preprocessor(PreprocessSpec(2, 2, color=Color.GRAY))(red)[0, 0].tolist() == [60]  # 0.299 · 200, BT.601


def test_letterbox_is_black_around_the_whole_frame() -> None:
    image = Preprocessor(PreprocessSpec(8, 8, ResizeMode.LETTERBOX))(np.full((20, 40, 3), 255, np.uint8))
    assert image[:, 0, 0].tolist() == [0, 0, 255, 255, 255, 255, 0, 0]


@pytest.mark.parametrize(
    ("frame", "received", "fix"),
    [
        (np.zeros((4, 4, 3), np.float32), r"float32 \[4, 4, 3\]", "as_frame"),
        (np.zeros((4, 4, 3), np.int8), r"int8 \[4, 4, 3\]", "as_frame"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]", "as_frame"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]", "as_frame"),
        (np.zeros((4, 4, 1), np.uint8), r"uint8 \[4, 4, 1\]", "as_frame"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"uint8 \[1, 4, 4, 3\]", "as_frame"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]", "as_frame"),
        (np.zeros((4, 0, 3), np.uint8), r"uint8 \[4, 0, 3\]", "as_frame"),
        ([[[1, 2, 3]]], "list", "read_image"),
        (None, "NoneType", "read_image"),
        ("photo.jpg", "str", "read_image"),
    ],
)
def test_refuses_what_is_no_frame(frame: Any, received: str, fix: str) -> None:
    preprocess = Preprocessor(PreprocessSpec(2, 2))
    with pytest.raises(FrameError, match=rf"Received: {received}\. .*{fix}\(\)\.$"):
        preprocess(frame)


def test_a_known_shape_does_not_let_another_type_pass() -> None:
    preprocess = Preprocessor(PreprocessSpec(2, 2))
    preprocess(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FrameError, match="float64"):
        preprocess(np.zeros((4, 4, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, 4097, 32.0, float("nan"), "32", None])
def test_refuses_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(UsageError, match=r"width must be .* 4096 .*Received: .*Choose"):
        PreprocessSpec(size, 8)
    with pytest.raises(UsageError, match="height must be"):
        PreprocessSpec(8, size)


@pytest.mark.parametrize("size", [1, 4096])
def test_accepts_sizes_up_to_the_limits(size: int) -> None:
    assert PreprocessSpec(size, 1).shape == (1, size, 3)


def test_text_becomes_the_enum_it_names() -> None:
    assert PreprocessSpec(8, 4, "letterbox", "linear", "gray") == PreprocessSpec(  # type: ignore[arg-type]
        8, 4, ResizeMode.LETTERBOX, Interpolation.LINEAR, Color.GRAY
    )
    assert PreprocessSpec(8, 4, color="rgb").channels == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["resize", "interpolation", "color"])
def test_refuses_modes_that_do_not_exist(field: str) -> None:
    with pytest.raises(UsageError, match=rf"{field} must be one of '.*Received: 'crop'"):
        PreprocessSpec(8, 4, **{field: "crop"})  # type: ignore[arg-type]


PLAIN_BGR = {  # each layout as a frame in BGR, by OpenCV alone
    Pixels.BGR: lambda frame: frame,
    Pixels.RGB: lambda frame: frame[:, :, ::-1],
    Pixels.GRAY: lambda frame: cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR),
    Pixels.BGRA: lambda frame: cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR),
    Pixels.NV12: lambda frame: cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_NV12),
    Pixels.YUYV: lambda frame: cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_YUYV),
}
LAYOUTS = {
    Pixels.BGR: (60, 80, 3),
    Pixels.RGB: (60, 80, 3),
    Pixels.GRAY: (60, 80),
    Pixels.BGRA: (60, 80, 4),
    Pixels.NV12: (90, 80),
    Pixels.YUYV: (60, 80, 2),
}


@every_spec
@pytest.mark.parametrize("pixels", Pixels, ids=lambda pixels: pixels.value)
def test_every_layout_gives_what_its_bgr_form_gives(spec: PreprocessSpec, pixels: Pixels) -> None:
    frame = noise(*LAYOUTS[pixels])
    image = Preprocessor(spec, pixels)(frame)
    # Grey is swapped after the shrink, so that rounding may differ by one: the weights of three equal channels sum to one.
    np.testing.assert_allclose(image, expected(PLAIN_BGR[pixels](frame), spec).astype(int), atol=1)
    if pixels is not Pixels.GRAY:
        np.testing.assert_array_equal(image, expected(PLAIN_BGR[pixels](frame), spec))


@pytest.mark.parametrize("pixels", ["rgb", "gray"])
def test_what_has_the_models_colors_and_size_is_only_copied(pixels: str) -> None:
    spec = PreprocessSpec(8, 6, color=pixels)
    frame = noise(*spec.shape)
    image = Preprocessor(spec, pixels)(frame)
    np.testing.assert_array_equal(image, frame)
    assert not np.shares_memory(image, frame)


def test_flat_grey_frames_are_grey_frames() -> None:
    spec, frame = PreprocessSpec(8, 6, color="gray"), noise(30, 40)
    preprocess = Preprocessor(spec, "gray")
    np.testing.assert_array_equal(preprocess(frame), preprocess(frame[:, :, None]))


@pytest.mark.parametrize(
    ("pixels", "shape", "rule"),
    [
        ("rgb", (4, 4), "in RGB order"),
        ("gray", (4, 4, 3), r"\[height, width\] or"),
        ("bgra", (4, 4, 3), "in BGRA order"),
        ("nv12", (4, 4), "height · 3/2"),
        ("nv12", (6, 5), "even height and width"),
        ("yuyv", (4, 5, 2), "even width"),
    ],
)
def test_frames_of_another_layout_are_refused(pixels: str, shape: tuple[int, ...], rule: str) -> None:
    with pytest.raises(FrameError, match=rf"{rule}.*Received: uint8 \["):
        Preprocessor(PreprocessSpec(2, 2), pixels)(np.zeros(shape, np.uint8))


def test_unknown_layouts_are_refused_with_those_known() -> None:
    with pytest.raises(UsageError, match=r"pixels must be one of bgr, rgb, gray, bgra, nv12, yuyv\. Received: 'i420'"):
        Preprocessor(PreprocessSpec(2, 2), "i420")


@every_spec
def test_a_region_is_what_its_slice_is(spec: PreprocessSpec) -> None:
    frame = noise(80, 100, 3)
    part = frame[20:60, 10:85]
    image = Preprocessor(spec, region=Region(0.1, 0.25, 0.75, 0.5))(frame)
    np.testing.assert_array_equal(image, expected(part, spec))


@given(st.floats(0, 0.99), st.floats(0, 0.99), st.floats(0.001, 1), st.floats(0.001, 1), sides, sides)
def test_any_region_has_pixels_within_the_frame(
    left: float, top: float, width: float, height: float, columns: int, rows: int
) -> None:
    region = Region(left, top, min(width, 1 - left), min(height, 1 - top))
    x, y, wide, high = region.pixels(columns, rows)
    assert 0 <= x < x + wide <= columns and 0 <= y < y + high <= rows


@pytest.mark.parametrize(
    "text", ["", "0,0,1", "0,0,1,one", "0,0,1.1,1", "-0.1,0,1,1", "0.5,0,0.6,1", "0,0,0,1", "0,0,nan,1"]
)
def test_regions_outside_the_frame_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"A region must .*Received: .*Write "):
        Region.parse(text)


def test_regions_are_read_from_text() -> None:
    assert Region.parse("0.7, 0, 0.3,1") == Region(0.7, 0, 0.3, 1)


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (701, 499)])
@pytest.mark.parametrize("side", [32, 96, 224])
def test_fast_area_is_close_to_area_on_smooth_pictures(size: tuple[int, int], side: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    frame = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    exact, fast = (
        Preprocessor(PreprocessSpec(side, side, interpolation=kind))(frame) for kind in ("area", "fast-area")
    )
    assert np.abs(exact.astype(int) - fast).mean() <= 1.5


def test_nothing_is_allocated_for_a_frame_of_a_known_shape() -> None:
    for pixels in Pixels:
        preprocess, out = Preprocessor(PreprocessSpec(8, 6), pixels), np.empty((6, 8, 3), np.uint8)
        frame = noise(*LAYOUTS[pixels])
        preprocess.into(frame, out)
        tracemalloc.start()
        for _ in range(20):
            preprocess.into(frame, out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1024, pixels
