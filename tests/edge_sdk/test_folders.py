import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.folders import read_folder
from edge_sdk.image_sets import ImageSet, Splits


def write_image(path: Path, image: np.ndarray | None = None) -> None:
    """Write an image file; paths need not be ASCII."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((6, 8, 3), len(path.name), np.uint8) if image is None else image
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def write_classes(folder: Path, counts: dict[str, int]) -> Path:
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for i in range(count):
            write_image(folder / label / f"{i:02d}.png", np.full((4, 4, 3), i, np.uint8))
    return folder


def names(splits: Splits) -> list[str]:
    return sorted(splits.train.names + splits.validation.names + splits.test.names)


def frame_named(splits: Splits, name: str) -> np.ndarray:
    images: ImageSet = next(part for part in (splits.train, splits.validation, splits.test) if name in part.names)
    return images[images.names.index(name)]


def test_folder_names_are_sorted_labels_with_spaces_and_any_script(tmp_path: Path) -> None:
    splits = read_folder(write_classes(tmp_path / "mugs", {"зелёный": 10, "blue mug": 20, "杯子": 10}))
    assert splits.labels == ("blue mug", "зелёный", "杯子")
    assert splits.name == "mugs"
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [28, 4, 8]
    assert splits.test.counts.tolist() == [4, 2, 2]
    for part in (splits.train, splits.validation, splits.test):
        for name, target in zip(part.names, part.targets, strict=True):
            assert name.split("/")[0] == splits.labels[target]


def test_class_folders_are_searched_to_any_depth(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    write_image(tmp_path / "a" / "monday" / "early" / "x.JPG".lower())
    assert "a/monday/early/x.jpg" in names(read_folder(tmp_path))


def test_hidden_files_and_other_suffixes_are_ignored(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    write_image(tmp_path / "a" / ".thumbnail.png")
    write_image(tmp_path / "a" / ".cache" / "x.png")
    write_image(tmp_path / ".git" / "x.png")
    write_image(tmp_path / "__MACOSX" / "x.png")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "a" / "folder.png").mkdir()
    splits = read_folder(tmp_path)
    assert splits.labels == ("a", "b")
    assert len(names(splits)) == 6
    assert splits.skipped == ()


def test_upper_case_suffixes_are_images(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "00.png").rename(tmp_path / "a" / "00.PNG")
    assert "a/00.PNG" in names(read_folder(tmp_path))


def test_the_split_depends_on_names_and_seed_not_on_the_order_of_writing(tmp_path: Path) -> None:
    orders = []
    for copy in range(2):
        files = [f"{label}/{i}.png" for label in "ab" for i in range(30)]
        random.Random(copy).shuffle(files)
        for file in files:
            write_image(tmp_path / str(copy) / file)
        splits = read_folder(tmp_path / str(copy), seed=5)
        orders.append((splits.train.names, splits.validation.names, splits.test.names))
    assert orders[0] == orders[1]
    assert read_folder(tmp_path / "0", seed=6).test.names != orders[0][2]


def test_every_kind_of_image_file_becomes_a_frame(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    write_image(tmp_path / "a" / "grey.png", grey)
    write_image(tmp_path / "a" / "rgba.png", np.dstack([grey, grey, grey, np.zeros_like(grey)]))
    write_image(tmp_path / "a" / "sixteen.png", grey.astype(np.uint16) << 8 | 0xFF)
    write_image(tmp_path / "a" / "dot.png", np.full((1, 1, 3), 9, np.uint8))
    splits = read_folder(tmp_path)
    for name in ("grey", "rgba", "sixteen"):
        np.testing.assert_array_equal(frame_named(splits, f"a/{name}.png"), np.dstack([grey] * 3))
    assert frame_named(splits, "a/dot.png").tolist() == [[[9, 9, 9]]]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Two classes of five images, and three files that are not images in the first."""
    write_classes(tmp_path, {"a": 5, "b": 5})
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "a" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "a" / "empty.jpg").write_bytes(b"")
    (tmp_path / "a" / "text.jpg").write_text("Dear diary")
    return tmp_path


def test_unreadable_images_are_skipped_and_named(damaged: Path) -> None:
    splits = read_folder(damaged)
    assert [skipped.name for skipped in splits.skipped] == ["a/cut.jpg", "a/empty.jpg", "a/text.jpg"]
    for skipped, reason in zip(splits.skipped, ("whole", "0 bytes", "format"), strict=True):
        assert reason in skipped.reason
        assert "\n" not in skipped.reason
    assert len(names(splits)) == 10


def test_strict_refuses_unreadable_images(damaged: Path) -> None:
    with pytest.raises(DataError, match=r"3 unreadable of 13, the first a/cut\.jpg"):
        read_folder(damaged, strict=True)


def test_a_class_of_unreadable_images_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 0})
    (tmp_path / "b" / "x.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"only unreadable ones, the first: .*x\.jpg"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "one folder per class"),
        ({"a": 5}, "at least 2 classes.*'a'"),
        ({"a": 5, "b": 0}, "must hold images.*b"),
        ({"a": 5, "b": 2}, "at least 3 readable images.*2 of 'b'"),
    ],
)
def test_folders_that_cannot_be_learnt_from_are_refused(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_folder(write_classes(tmp_path / "photos", {**counts}) if counts else tmp_path)


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(DataError, match="one folder per class"):
        read_folder(tmp_path)


def test_test_images_that_come_separately_stay_test_images(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 10, "b": 10})
    write_classes(tmp_path / "test", {"a": 2, "b": 3})
    splits = read_folder(tmp_path)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [18, 2, 5]
    assert all(name.startswith("test/") for name in splits.test.names)
    assert all(name.startswith("train/") for name in splits.train.names + splits.validation.names)


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_validation_images_may_come_separately_too(tmp_path: Path, validation: str) -> None:
    for part, count in (("train", 4), ("test", 1), (validation, 2)):
        write_classes(tmp_path / part, {"a": count, "b": count})
    splits = read_folder(tmp_path)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8, 4, 2]
    assert all(name.startswith(f"{validation}/") for name in splits.validation.names)


def test_parts_with_different_classes_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 3, "b": 3})
    write_classes(tmp_path / "test", {"a": 3, "c": 3})
    with pytest.raises(DataError, match=r"train/ and test/ must have the same classes.*'b', 'c'"):
        read_folder(tmp_path)


def test_training_images_without_test_images_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 3, "b": 3})
    write_classes(tmp_path / "val", {"a": 3, "b": 3})
    with pytest.raises(DataError, match="needs test/"):
        read_folder(tmp_path)


def test_two_validation_folders_are_refused(tmp_path: Path) -> None:
    for part in ("train", "test", "val", "validation"):
        write_classes(tmp_path / part, {"a": 3, "b": 3})
    with pytest.raises(DataError, match="validation and val"):
        read_folder(tmp_path)


def test_train_is_a_class_beside_other_vehicles(tmp_path: Path) -> None:
    assert read_folder(write_classes(tmp_path, {"train": 3, "bus": 3})).labels == ("bus", "train")


def test_the_limit_counts_per_class(tmp_path: Path) -> None:
    splits = read_folder(write_classes(tmp_path, {"a": 20, "b": 5}), limit=10)
    assert len(names(splits)) == 15


def test_frames_beyond_the_memory_budget_are_read_again(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 3, "b": 3})
    lean, rich = read_folder(tmp_path, kept_bytes=100), read_folder(tmp_path)
    np.testing.assert_array_equal(lean.train[0], rich.train[0])
    for path in list(tmp_path.rglob("*.png")):
        path.unlink()
    assert rich.train[0].shape == (4, 4, 3)
    with pytest.raises(OSError, match="readable"):
        lean.train[0]


def test_progress_counts_the_files(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    read_folder(write_classes(tmp_path, {"a": 20, "b": 20}), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)
