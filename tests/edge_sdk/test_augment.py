from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn.augment import Augmentation, augment

NOTHING = Augmentation(shift=0, flip=False, brightness=0, contrast=0)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.floats(0, 0.5))
def test_shape_and_dtype_are_kept_and_the_input_is_not_altered(
    count: int, height: int, width: int, channels: int, shift: float
) -> None:
    x = images(count, height, width, channels)
    before = x.copy()
    result = augment(x, Augmentation(shift=shift), rng())
    assert result.shape == x.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(x, before)


def test_no_change_is_a_copy() -> None:
    x = images(4, 5, 6, 3)
    result = augment(x, NOTHING, rng())
    np.testing.assert_array_equal(result, x)
    assert not np.shares_memory(result, x)


def test_the_same_randomness_gives_the_same_images() -> None:
    x = images(20, 8, 8, 1)
    np.testing.assert_array_equal(augment(x, Augmentation(), rng(1)), augment(x, Augmentation(), rng(1)))
    assert not np.array_equal(augment(x, Augmentation(), rng(1)), augment(x, Augmentation(), rng(2)))


def test_flips_mirror_about_half_of_the_images() -> None:
    x = images(400, 3, 4, 3)
    result = augment(x, Augmentation(shift=0, flip=True, brightness=0, contrast=0), rng())
    mirrored = [np.array_equal(after, before[:, ::-1]) for before, after in zip(x, result, strict=True)]
    same = [np.array_equal(after, before) for before, after in zip(x, result, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 150 < sum(mirrored) < 250


def test_shifts_are_numpys_reflection_padding_within_the_fraction() -> None:
    x = images(200, 10, 8, 3)
    result = augment(x, Augmentation(shift=0.25, flip=False, brightness=0, contrast=0), rng())
    seen = set()
    for before, after in zip(x, result, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        shifts = [
            (dy, dx) for dy in range(5) for dx in range(5) if np.array_equal(padded[dy : dy + 10, dx : dx + 8], after)
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert len(seen) == 25


def test_brightness_adds_the_same_to_every_pixel() -> None:
    x = np.full((100, 4, 4, 3), 100, np.uint8)
    result = augment(x, Augmentation(shift=0, flip=False, brightness=0.2, contrast=0), rng()).astype(int)
    assert (result == result[:, :1, :1, :1]).all()
    assert 40 <= np.abs(result - 100).max() <= 51
    assert len(np.unique(result)) > 30


def test_contrast_keeps_the_mean_and_scales_the_spread() -> None:
    x = np.tile(np.array([80, 120], np.uint8), (100, 4, 2))[..., None]
    result = augment(x, Augmentation(shift=0, flip=False, brightness=0, contrast=0.5), rng()).astype(int)
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 100, atol=0.5)
    spreads = result.max(axis=(1, 2, 3)) - result.min(axis=(1, 2, 3))
    assert spreads.min() >= 20
    assert spreads.max() <= 60
    assert len(np.unique(spreads)) > 10


def test_values_are_cut_off_rather_than_wrapped() -> None:
    x = np.tile(np.array([0, 255], np.uint8), (200, 4, 2))[..., None]
    result = augment(x, Augmentation(shift=0, flip=False, brightness=1, contrast=0), rng()).astype(int)
    assert (result[:, :, 1::2] >= result[:, :, 0::2]).all()


def test_a_patch_is_hidden_behind_the_mean_colour() -> None:
    x = images(300, 8, 12, 3)
    result = augment(x, replace(NOTHING, erase=0.5), rng())
    sizes = set()
    for before, after in zip(x, result, strict=True):
        colour = np.rint(before.mean(axis=(0, 1))).astype(np.uint8)
        changed = np.any(after != before, axis=-1)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        patch = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (patch == colour).all()
        sizes.add(patch.shape[:2])
    assert max(sizes) == (4, 6)
    assert min(height for height, _ in sizes) == 2  # a patch centred on an edge pixel


@pytest.mark.parametrize(
    "wrong", [{"shift": 0.6}, {"shift": -0.1}, {"brightness": 1.5}, {"contrast": float("nan")}, {"erase": 2}]
)
def test_changes_out_of_range_are_named(wrong: dict[str, float]) -> None:
    name = next(iter(wrong))
    with pytest.raises(DataError, match=f"{name} must be between 0 and"):
        Augmentation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="must be uint8"):
        augment(wrong, NOTHING, rng())
