"""Lists that other programs read too, and parts of a data set that together choose what the whole would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.image_sets import Splits
from edge_sdk.learn.selection import SelectionConfig, Strategy, make_selector, select
from edge_sdk.learn.selection.lists import keep_only, positions, read_list, write_list
from edge_sdk.learn.selection.parts import Part, fingerprint, merge_parts, parse_part, write_part

NAMES = tuple(f"bébé/{i:03} x.png" for i in range(90))
VECTORS = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
LABELS = np.arange(90) % 3


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_list(tmp_path / "a.txt", NAMES)
    assert read_list(tmp_path / "a.txt") == NAMES
    assert (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()[1] == "bébé/001 x.png"
    (tmp_path / "b.txt").write_text("\r\none.png\r\n\r\ntwo.png", encoding="utf-8")
    assert read_list(tmp_path / "b.txt") == ("one.png", "two.png")


def test_lists_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    for name in ("two\nlines.png", " ", "a\u2028b.png"):
        with pytest.raises(DataError, match="one line"):
            write_list(tmp_path / "a.txt", [name])
    assert not (tmp_path / "a.txt").exists()
    for content, message in ((b"", "names none"), (b"a\nb\na\n", "Received: a twice"), (b"\x00\x01", "names none")):
        (tmp_path / "c.txt").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_list(tmp_path / "c.txt")
    with pytest.raises(DataError, match="No such file"):
        read_list(tmp_path / "missing.txt")


def test_only_the_listed_images_are_learnt_from(digits: Splits) -> None:
    chosen = [digits.train.names[place] for place in range(0, len(digits.train), 7)]
    few = keep_only(digits, chosen)
    assert few.train.names == tuple(chosen)
    assert few.validation is digits.validation and few.test is digits.test
    np.testing.assert_array_equal(positions(digits.train, chosen), np.arange(0, len(digits.train), 7))


def test_a_list_of_other_images_or_without_a_class_is_refused(digits: Splits) -> None:
    with pytest.raises(DataError, match=r"among the 420 training images\. Received: 1 others, the first nobody\.png"):
        keep_only(digits, [digits.train.names[0], "nobody.png"])
    with pytest.raises(DataError, match="0 of '3'"):
        keep_only(digits, [name for name, y in zip(digits.train.names, digits.train.targets, strict=True) if y != 3])


def see(config: SelectionConfig, number: int, parts: int = 3, data: str = "d") -> Part:
    part = Part(number, parts, data, 90, config, make_selector(config), dict(enumerate(NAMES)))
    rows = part.rows
    part.selector.add(VECTORS[rows.start : rows.stop], rows.start, LABELS[rows.start : rows.stop])
    return part


def written(folder: Path, config: SelectionConfig, **options: str) -> list[Path]:
    paths = [folder / f"part{number}.npz" for number in (3, 1, 2)]
    for path, number in zip(paths, (3, 1, 2), strict=True):
        write_part(path, see(config, number, **options))  # type: ignore[arg-type]
    return paths


@pytest.mark.parametrize(
    "config",
    [SelectionConfig(Strategy.TOP_ACTIVATION, 20), SelectionConfig(Strategy.FARTHEST_FIRST, 9, 3)],
    ids=["top activation", "balanced"],
)
def test_parts_choose_what_the_whole_chooses(config: SelectionConfig, tmp_path: Path) -> None:
    chosen, names = merge_parts(written(tmp_path, config))
    expected = select(VECTORS, config, LABELS)
    np.testing.assert_array_equal(chosen, expected)
    assert names == tuple(NAMES[index] for index in expected)


def test_parts_are_every_image_once() -> None:
    config = SelectionConfig(Strategy.RANDOM, 1)
    rows = [row for number in range(1, 8) for row in see(config, number, 7).rows]
    assert rows == list(range(90))
    assert parse_part("2/4") == (2, 4)
    for text in ("", "2", "0/4", "5/4", "a/b", "2/4/6", "-1/2"):
        with pytest.raises(DataError, match=r"NUMBER/PARTS, such as 2/4\. Received"):
            parse_part(text)


def test_fingerprints_tell_data_and_models_apart() -> None:
    known = {
        fingerprint(NAMES, "m"),
        fingerprint(NAMES, "n"),
        fingerprint(NAMES[:-1], "m"),
        fingerprint(NAMES[::-1], "m"),
    }
    assert len(known) == 4 and fingerprint(NAMES, "m") in known


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    config = SelectionConfig(Strategy.TOP_ACTIVATION, 20)
    paths = written(tmp_path, config)
    with pytest.raises(DataError, match=r"Parts 1 to 3 must be there, each once\. Received: 1, 3\."):
        merge_parts(paths[:2])
    with pytest.raises(DataError, match="Received: 1, 2, 3, 3"):
        merge_parts([*paths, paths[0]])
    write_part(tmp_path / "other.npz", see(config, 2, data="other"))
    with pytest.raises(DataError, match="same data, embedded by the same model"):
        merge_parts([*paths[:2], tmp_path / "other.npz"])
    write_part(tmp_path / "other.npz", see(SelectionConfig(Strategy.TOP_ACTIVATION, 21), 2))
    with pytest.raises(DataError, match="same settings"):
        merge_parts([*paths[:2], tmp_path / "other.npz"])
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    with pytest.raises(DataError, match="edge-sdk select --part wrote"):
        merge_parts(paths)
