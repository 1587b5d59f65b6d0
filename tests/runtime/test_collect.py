from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime import UsageError, read_image
from edge_sdk_runtime.collect import CollectConfig, Collector, Verdict, difference_hash, hash_distance, sharpness

RNG = np.random.default_rng(3)


def scene(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Blocks of grey with fine structure on them: sharp, and unlike the next one."""
    rng = np.random.default_rng(seed)
    blocks = cv2.resize(rng.integers(0, 256, (8, 9), np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    noise = rng.integers(0, 40, (height, width), np.uint8)
    return np.repeat(np.clip(blocks.astype(int) + noise, 0, 255).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


def test_pictures_go_into_the_folder_of_their_class_and_can_be_read_back(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "photos", "blue mug")
    for seed in range(4):
        assert collector.offer(scene(seed)) is Verdict.KEPT
    files = sorted((tmp_path / "photos" / "blue mug").iterdir())
    assert [file.suffix for file in files] == [".jpg"] * 4
    for seed, file in enumerate(files):  # names sort as the pictures were taken
        assert np.abs(read_image(file).astype(int) - scene(seed)).mean() < 6
    assert str(collector.counts) == "4 kept, 0 too similar, 0 blurred"


def test_blurred_and_similar_pictures_are_counted_and_not_kept(tmp_path: Path) -> None:
    collector = Collector(tmp_path, "mug")
    blurred = cv2.GaussianBlur(scene(1), (0, 0), 9).astype(np.uint8)
    brighter = cv2.convertScaleAbs(scene(1), alpha=0.9, beta=10).astype(np.uint8)
    assert [collector.offer(frame) for frame in (blurred, scene(1), scene(1), brighter, scene(2), scene(1))] == [
        Verdict.BLURRED,
        Verdict.KEPT,
        Verdict.SIMILAR,
        Verdict.SIMILAR,
        Verdict.KEPT,
        Verdict.SIMILAR,
    ]
    assert (collector.counts.kept, collector.counts.similar, collector.counts.blurred) == (2, 3, 1)
    assert len(list((tmp_path / "mug").iterdir())) == 2


def test_both_judgements_can_be_switched_off(tmp_path: Path) -> None:
    collector = Collector(tmp_path, "wall", CollectConfig(sharpness=0, distance=0))
    even = np.full((10, 10, 3), 9, np.uint8)
    assert [collector.offer(even) for _ in range(3)] == [Verdict.KEPT] * 3


def test_only_pictures_kept_lately_are_compared_with(tmp_path: Path) -> None:
    collector = Collector(tmp_path, "mug", CollectConfig(remembered=1))
    assert [collector.offer(scene(seed)) for seed in (1, 2, 1)] == [Verdict.KEPT] * 3


def test_what_was_collected_before_is_never_overwritten(tmp_path: Path) -> None:
    for _ in range(3):
        assert Collector(tmp_path, "mug").offer(scene(1)) is Verdict.KEPT
    assert len(list((tmp_path / "mug").iterdir())) == 3


@pytest.mark.parametrize(
    "label", ["", "  ", ".", "..", ".hidden", "a/b", "a\\b", "a\0", "tab\t", " mug", "x" * 201, "test", "Train"]
)
def test_labels_that_no_class_folder_can_have_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(UsageError, match="A label must"):
        Collector(tmp_path, label)


@pytest.mark.parametrize(
    "changes", [{"sharpness": -1}, {"sharpness": float("nan")}, {"distance": 65}, {"remembered": 0}, {"quality": 101}]
)
def test_settings_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(changes))} must be between"):
        CollectConfig(**changes)  # type: ignore[arg-type]


def test_sharpness_means_the_same_at_every_size() -> None:
    large = cv2.resize(scene(5), (1280, 960), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    small = cv2.resize(large, (320, 240), interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert sharpness(large) == pytest.approx(sharpness(small), rel=0.05)
    plain = np.zeros((40, 40, 3), np.uint8)
    assert sharpness(plain) == 0


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    gray = RNG.integers(0, 256, (30, 40), np.uint8)
    padded = np.pad(gray.astype(float), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4.0 * gray
    assert sharpness(np.repeat(gray[:, :, np.newaxis], 3, axis=2)) == pytest.approx(laplacian.var())


def test_the_hash_says_where_it_gets_darker_and_noise_says_nothing() -> None:
    falling = np.repeat(np.linspace(250, 5, 90).astype(np.uint8)[np.newaxis, :, np.newaxis], 3, axis=2).repeat(
        80, axis=0
    )
    assert difference_hash(falling) == 2**64 - 1
    assert difference_hash(falling[:, ::-1]) == 0
    noisy = (128 + RNG.integers(0, 2, (80, 90, 3))).astype(np.uint8)
    assert difference_hash(noisy) == 0


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_distance_is_a_metric(a: int, b: int, c: int) -> None:
    assert hash_distance(a, a) == 0
    assert hash_distance(a, b) == hash_distance(b, a) == bin(a ^ b).count("1")
    assert hash_distance(a, c) <= hash_distance(a, b) + hash_distance(b, c)
