"""Files classified while others are decoded, and one classifier under several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import Classification, Classifier, ImageReadError, UsageError, batch
from tests.runtime.helpers import fake_plug, make_bundle, plain

COLORS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(make_bundle(), form="fused", interpreter=fake_plug())


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    names = []
    for index in range(30):
        color = list(COLORS.values())[index % 3]
        names.append(str(tmp_path / f"{index:02d}.png"))
        cv2.imwrite(names[-1], np.full((20, 30, 3), color, np.uint8))
    return names


def test_public_names() -> None:
    assert batch.__all__ == ["classify_files"]


@pytest.mark.parametrize("readers", [1, 2, 8])
def test_results_come_in_the_order_of_the_files(classifier: Classifier, photos: list[str], readers: int) -> None:
    found = list(classifier.classify_files(photos, readers))
    assert [name for name, _ in found] == photos
    labels = [result.label for _, result in found if isinstance(result, Classification)]
    assert labels == [list(COLORS)[index % 3] for index in range(30)]


def test_an_unreadable_file_is_told_in_its_place(classifier: Classifier, photos: list[str], tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.png")
    found = list(classifier.classify_files([photos[0], absent, photos[1]]))
    assert [type(result) for _, result in found] == [Classification, ImageReadError, Classification]


def test_files_are_read_no_further_ahead_than_needed(classifier: Classifier, photos: list[str]) -> None:
    asked: list[str] = []

    def names() -> object:
        for name in photos:
            asked.append(name)
            yield name

    results = classifier.classify_files(names(), readers=1)  # type: ignore[arg-type]
    next(results)
    assert len(asked) <= 4
    results.close()  # type: ignore[attr-defined]
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("decode") and not thread.is_alive()
    ]


def test_wrong_use_is_refused_before_anything_is_read(photos: list[str]) -> None:
    with pytest.raises(UsageError, match=r"readers must be at least 1\. Received: 0"):
        Classifier(make_bundle(), form="fused", interpreter=fake_plug()).classify_files(photos, 0)
    with pytest.raises(UsageError, match="Received: a classifier of rgb frames"):
        Classifier(make_bundle(), form="fused", interpreter=fake_plug(), pixels="rgb").classify_files(photos)


def test_no_files_give_no_results(classifier: Classifier) -> None:
    assert list(classifier.classify_files([])) == []


@pytest.mark.parametrize("form", ["staged", "fused"])
def test_threads_that_share_a_classifier_get_their_own_answers(form: str) -> None:
    shared = Classifier(make_bundle(), form=form, interpreter=fake_plug())
    frames = {label: plain(*color[::-1]) for label, color in COLORS.items()}

    def ask(index: int) -> bool:
        label = list(COLORS)[index % 3]
        return shared.classify(frames[label]).label == label

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(600)))
    assert shared.summary()["total"].count == 600
