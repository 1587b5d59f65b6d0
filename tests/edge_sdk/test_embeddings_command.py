"""`edge-sdk embeddings`, and training on what it wrote, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli.main import main
from edge_sdk.learn.embedding_files import EmbeddingTable, read_embeddings, write_embeddings
from edge_sdk.learn.train import Trained
from edge_sdk_converters.keras_file import save_keras


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of digits, and two small files of other embeddings."""
    folder = tmp_path_factory.mktemp("embeddings")
    save_keras(folder / "digits.keras", trained.model, trained.card)
    write_embeddings(folder / "a.txt", EmbeddingTable(("blue mug", "cat"), np.eye(2, 3, dtype=np.float32)))
    write_embeddings(folder / "b.txt", EmbeddingTable(("cat", "dog"), np.eye(2, 3, 1, dtype=np.float32)))
    return folder


def answered(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capfd.readouterr().out


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("edge-sdk: ") == 1 and "Traceback" not in err
    return err


def test_build_show_and_train_on_what_was_built(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table, model = tmp_path / "digits.txt", tmp_path / "head.keras"
    build = [
        "embeddings",
        "build",
        "digits",
        "--model",
        folder / "digits.keras",
        "-o",
        table,
        "--prototypes",
        2,
        "--limit",
        10,
    ]
    built = json.loads(answered(capfd, *build, "--method", "medoids", "--json"))
    assert built["files"] == [str(table), str(table.with_suffix(".npz"))]
    assert (built["width"], built["vectors"], built["labels"]["7"]) == (16, 20, 2)
    picture = tmp_path / "digit.png"
    picture.write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    near = ["embeddings", "show", table, "--nearest", picture, "--model", folder / "digits.keras", "-k", 3, "--json"]
    assert len(json.loads(answered(capfd, *near))["nearest"]) == 3
    train = ["train", "digits", "--limit", 10, "--encoder-from", folder / "digits.keras", "--embeddings", table]
    assert json.loads(answered(capfd, *train, "-o", model, "--json"))["accuracy"] > 0.5
    assert model.exists()


def test_show_says_who_is_like_whom(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = answered(capfd, "embeddings", "show", folder / "a.npz")
    assert "2 labels, 2 vectors of 3 numbers." in told and "blue mug" in told
    near = answered(capfd, "embeddings", "show", folder / "a.txt", "--nearest", "blue mug", "--similarity", "euclidean")
    assert near.splitlines()[1].split() == ["cat", "0", "0.414"]
    told = json.loads(answered(capfd, "embeddings", "show", folder / "a.txt", "--json"))
    assert told["most_alike"]["cat"] == {"label": "blue mug", "similarity": 0.0}


def test_merge_follows_the_rule(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    merge = ["embeddings", "merge", folder / "a.txt", folder / "b.npz", "-o", tmp_path / "c.txt"]
    assert "3 labels, 3 vectors" in answered(capfd, *merge)  # both files have the same cat
    assert read_embeddings(tmp_path / "c.txt").labels == ("blue mug", "cat", "dog")
    assert json.loads(answered(capfd, *merge, "--duplicates", "last", "--json"))["vectors"] == 3
    assert "'cat' twice" in refused(capfd, *merge, "--duplicates", "refuse")


def test_wrong_use_is_refused_in_one_line(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show = ["embeddings", "show", folder / "a.txt"]
    assert "a label of the file or a picture" in refused(capfd, *show, "--nearest", "zebra")
    assert "without --model" in refused(capfd, *show, "--nearest", folder / "digits.keras")
    (tmp_path / "wide.txt").write_text("1 2\ncat 1 2\n")
    assert "one width" in refused(
        capfd, "embeddings", "merge", folder / "a.txt", tmp_path / "wide.txt", "-o", tmp_path / "c"
    )
    absent = tmp_path / "nothing.txt"
    said = refused(capfd, "embeddings", "show", absent)
    assert f"Received: {absent} (No such file or directory). Check the path." in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wide.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--embeddings", "a.txt"], "Name it with --encoder-from"),
        (
            ["--encoder-from", "m.keras", "--epochs", "3", "--backbone", "VGG16"],
            "Received: --epochs, --backbone beside",
        ),
        (["--encoder-from", "m.keras", "--encoder", "flattened"], "Received: --encoder beside"),
        (["--report", "page.html"], "with the learned encoder"),
    ],
)
def test_training_options_that_would_do_nothing_are_refused(
    options: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capfd, "train", "digits", "-o", tmp_path / "m.keras", *options)
    assert list(tmp_path.iterdir()) == []
