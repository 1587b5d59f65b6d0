"""Pieces of images lie inside them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import crops as module
from edge_sdk.learn.crops import centre_crops, random_crops

IMAGES = np.arange(40 * 9 * 11 * 2, dtype=np.uint32).reshape(40, 9, 11, 2).astype(np.uint8)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["centre_crops", "check_side", "random_crops"]


def test_a_random_piece_is_a_window_of_its_image_mirrored_or_not() -> None:
    pieces = random_crops(IMAGES, 6, np.random.default_rng(0))
    places = []
    for image, piece in zip(IMAGES, pieces, strict=True):
        found = [
            (top, left, mirrored)
            for top in range(4)
            for left in range(6)
            for mirrored in (False, True)
            if np.array_equal(image[top : top + 6, left : left + 6][:, :: -1 if mirrored else 1], piece)
        ]
        assert found
        places.append(found[0])
    assert {top for top, _, _ in places} == {0, 1, 2, 3} and {left for _, left, _ in places} == set(range(6))
    assert {mirrored for _, _, mirrored in places} == {False, True}


def test_the_seed_decides_and_mirroring_can_be_left_out() -> None:
    one, again = (random_crops(IMAGES, 9, np.random.default_rng(3), flip=False) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    starts = [
        int(np.argmax((image == piece[:, :1]).all(axis=(0, 2)))) for image, piece in zip(IMAGES, one, strict=True)
    ]
    assert set(starts) == {0, 1, 2}


def test_the_middle_is_the_middle() -> None:
    np.testing.assert_array_equal(centre_crops(IMAGES, 5), IMAGES[:, 2:7, 3:8])
    np.testing.assert_array_equal(centre_crops(IMAGES, 9), IMAGES[:, :, 1:10])


def test_pieces_larger_than_the_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"10×10\. Received: 11×9"):
        centre_crops(IMAGES, 10)
    with pytest.raises(DataError, match="Prepare them larger"):
        random_crops(IMAGES, 12, np.random.default_rng(0))
