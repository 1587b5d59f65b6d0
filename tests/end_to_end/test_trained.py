"""What benchmarks train is kept where another checkout finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import command
from benchmarks.trained import NothingKeptError, cache, kept_array, kept_row
from edge_sdk.data import load_images
from edge_sdk.named_sets import DATA_VARIABLE
from edge_sdk_runtime.cache import CACHE_VARIABLE


def test_what_is_kept_is_not_made_again_and_other_settings_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    made: list[int] = []

    def row() -> dict[str, int]:
        made.append(1)
        return {"accuracy": len(made)}

    assert [kept_row("row", {"epochs": epochs}, row)["accuracy"] for epochs in (1, 1, 2, 1)] == [1, 1, 2, 1]
    array = kept_array("array", {}, lambda: np.arange(3))
    np.testing.assert_array_equal(kept_array("array", {}, lambda: np.zeros(3)), array)
    assert cache() == tmp_path / "cache" / "benchmarks"
    assert sorted(path.suffix for path in cache().iterdir()) == [".json", ".json", ".npy"]


def test_what_the_repository_keeps_is_found_without_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    array = kept_array("array", {"hours": 3}, lambda: np.arange(3))
    (tmp_path / "cache" / "benchmarks").rename(tmp_path / "kept")
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("benchmarks.trained._OF_REPOSITORY", tmp_path / "kept")
    np.testing.assert_array_equal(kept_array("array", {"hours": 3}, lambda: pytest.fail("it is there")), array)


def test_nothing_is_trained_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(NothingKeptError, match=r"must be kept between runs.*Set EDGE_SDK_CACHE"):
        kept_row("row", {}, lambda: pytest.fail("this would be lost"))


def test_a_benchmark_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("sys.argv", ["benchmark"])
    with pytest.raises(SystemExit) as stopped:
        command("never_recorded", lambda _: pytest.fail(str(cache())))
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_data_folder_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    monkeypatch.setattr("sys.argv", ["benchmark"])
    with pytest.raises(SystemExit) as stopped:
        command("never_recorded", lambda _: pytest.fail(str(load_images("cifar10"))))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{DATA_VARIABLE} must name a folder")
    assert error.count("\n") == 1
