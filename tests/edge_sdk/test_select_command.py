"""`edge-sdk select`, and `edge-sdk train` on what it chose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.cli.main import main
from edge_sdk.data import load_images
from edge_sdk.image_sets import Splits
from edge_sdk.learn.selection.embed import embedder_of
from edge_sdk.learn.train import Trained
from edge_sdk_runtime import PreprocessSpec

Output = pytest.CaptureFixture[str]
DIGITS = ("digits", "--limit", 60)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def chosen(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_the_list_names_training_images_and_training_takes_it(tmp_path: Path, capfd: Output) -> None:
    few, names, first = ("digits", "--limit", 12), tmp_path / "chosen.txt", tmp_path / "first.txt"
    assert run("select", *few, "--count", 40, "--strategy", "random", "--balanced", "-o", names) == 0
    out = capfd.readouterr().out
    assert "40 of 90 training pictures, by chance." in out and "0 4, 1 4, " in out and f"--only {names}" in out
    assert len(chosen(names)) == 40 and set(chosen(names)) <= set(load_images("digits", limit=12).train.names)
    first.write_text("\n".join(chosen(names)[:10]), encoding="utf-8")
    small = ("--epochs", 1, "--width", 4, "--embedding", 4, "--json")
    model = tmp_path / "m.keras"
    assert run("train", *few, *small, "--only", names, "--first", first, "--first-share", 0.3, "-o", model) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"chosen.txt", "first.txt", "m.keras"}


def test_an_autoencoder_is_trained_and_parts_choose_what_the_whole_data_set_does(tmp_path: Path, capfd: Output) -> None:
    options, encoder = ("digits", "--limit", 6, "--share", 0.25), tmp_path / "encoder.keras"
    trains = ("--autoencoder", "--autoencoder-steps", 2, "--keep-encoder", encoder)
    assert run("select", *options, *trains, "-o", tmp_path / "whole.txt", "--json") == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["images"], document["of"], document["by"]) == (10, 40, "code of an autoencoder")
    assert sum(document["images_per_class"].values()) == 10
    parts = [tmp_path / f"part{number}.npz" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        assert run("select", *options, "--model", encoder, "--part", f"{number}/2", "-o", part) == 0
    assert run("select", "--merge", *reversed(parts), "-o", tmp_path / "merged.txt") == 0
    assert chosen(tmp_path / "merged.txt") == chosen(tmp_path / "whole.txt")


def test_models_are_taken_by_what_they_know(trained: Trained, plain: object, digits: Splits) -> None:
    spec, few = trained.card.preprocess, digits.train.take(np.arange(40))
    embedded = embedder_of(trained.model, spec, few)
    assert embedded.model.output_shape[-1] == 16 and "encoder" in embedded.what
    scores = embedder_of(trained.model, spec, few, scores=True)
    (block,) = scores.blocks(few, range(3, 20))
    assert block.shape == (17, 10) and (np.abs(np.exp(block).sum(axis=1) - 1) < 1e-3).all()
    other = embedder_of(plain, PreprocessSpec(8, 8, color=spec.color), few)
    assert other.what == "what 'logits' reads" and other.model.output_shape[-1] == 288
    bare = embedder_of(embedded.model, spec, few)
    assert bare.model is embedded.model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits",), "--count None, --share None"),
        (("digits", "--count", 5, "--share", 0.1), "given once"),
        (("digits", "--count", 5000, "--strategy", "random"), "No more can be chosen than there are"),
        (("digits", "--count", 5), "top-activation needs something to embed with"),
        (("digits", "--count", 5, "--strategy", "margin"), "Pass --model with a classifier"),
        (("digits", "--count", 5, "--strategy", "margin", "--autoencoder"), "a classifier's scores"),
        (("digits", "--count", 5, "--strategy", "random", "--autoencoder"), "looks at no embedding"),
        (("digits", "--count", 5, "--autoencoder", "--model", "m.keras"), "one embedding"),
        (("digits", "--count", 5, "--autoencoder", "--part", "1/2"), "--keep-encoder FILE"),
        (("digits", "--count", 5, "--strategy", "random", "--part", "3/2"), "NUMBER/PARTS"),
        (("digits", "mnist", "--count", 5, "--strategy", "random"), "one data set"),
        (("part.npz", "--merge"), "No such file"),
        (("part.npz", "--merge", "--count", 5), "takes its options from the parts"),
    ],
)
def test_impossible_wishes_are_refused(
    arguments: Sequence[object], message: str, tmp_path: Path, capfd: Output
) -> None:
    assert run("select", *arguments, "-o", tmp_path / "chosen.txt") == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("edge-sdk: ")]
    assert len(errors) == 1 and message in errors[0] and "Received: " in errors[0]
    assert not list(tmp_path.iterdir())


def test_training_refuses_a_list_it_cannot_use(tmp_path: Path, capfd: Output) -> None:
    (tmp_path / "list.txt").write_text("nobody.png\n")
    assert run("train", *DIGITS, "--only", tmp_path / "list.txt", "-o", tmp_path / "m.keras") == 2
    assert "among the 420 training images" in capfd.readouterr().err
    assert run("train", *DIGITS, "--first-share", 0.2, "-o", tmp_path / "m.keras") == 2
    assert "for the pictures of --first" in capfd.readouterr().err
