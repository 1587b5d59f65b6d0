"""`.keras` files with a card, and what is refused as none."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import keras_file as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.keras_file import ModelCard, load_keras, save_keras
from edge_sdk_converters.source import is_opaque
from edge_sdk_runtime import Color, Interpolation, PreprocessSpec, ResizeMode
from tests.converters.helpers import assert_one_line, plain_network, staged_network
from tests.converters.networks import call, images

CARD = ModelCard(
    ("Löffel", "杯子", 'a "quoted" mug'),
    PreprocessSpec(6, 6, ResizeMode.LETTERBOX, Interpolation.LINEAR, Color.RGB),
    "photos/Küche",
    seed=7,
    flips=False,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_keras(tmp_path / "model.keras", staged_network(), CARD)
    return tmp_path / "model.keras"


def test_public_names() -> None:
    assert sorted(module.__all__) == ["ModelCard", "load_keras", "save_keras"]


def test_model_and_card_come_back(file: Path) -> None:
    model, card = load_keras(file)
    assert card == CARD
    np.testing.assert_array_equal(call(model, images()), call(staged_network(), images()))


def test_only_the_file_is_left_behind(file: Path) -> None:
    assert list(file.parent.iterdir()) == [file]


def test_the_card_is_text_that_a_person_reads(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        text = archive.read("edge_sdk.json").decode()
    assert "杯子" in text
    assert json.loads(text)["preprocess"] == {
        "width": 6,
        "height": 6,
        "resize": "letterbox",
        "interpolation": "linear",
        "color": "rgb",
    }


def test_plain_keras_opens_the_file(file: Path) -> None:
    loaded = keras.saving.load_model(file)
    np.testing.assert_array_equal(call(loaded, images()), call(staged_network(), images()))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15 on NumPy 2.4
def test_a_file_of_plain_keras_has_no_card(tmp_path: Path) -> None:
    plain_network().save(tmp_path / "plain.keras")
    model, card = load_keras(tmp_path / "plain.keras")
    assert card is None
    np.testing.assert_array_equal(call(model, images()), call(plain_network(), images()))


def write_text(path: Path) -> None:
    path.write_text("not a model")


def write_empty_zip(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()


def write_other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no model here")


def write_half(path: Path) -> None:
    save_keras(path, plain_network(), CARD)
    path.write_bytes(path.read_bytes()[:5000])


def write_card(text: str, path: Path) -> None:
    save_keras(path, plain_network(), CARD)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "edge_sdk.json": text.encode()}.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: None,
        write_text,
        write_empty_zip,
        write_other_zip,
        write_half,
        Path.mkdir,
        lambda path: write_card("{", path),
        lambda path: write_card("[1]", path),
        lambda path: write_card('{"labels": ["a", "b"]}', path),
    ],
    ids=["missing", "text", "empty zip", "other zip", "half", "empty folder", "cut card", "list card", "short card"],
)
def test_what_is_no_model_is_refused_in_one_line(write: object, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    write(path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=r"^A (model|SavedModel) must .*Received: .*model\.keras") as caught:
        load_keras(path)
    assert_one_line(caught.value)


def test_a_layer_nobody_knows_is_refused_in_one_line(tmp_path: Path) -> None:
    class Unregistered(layers.Layer):
        def call(self, inputs: object) -> object:
            return inputs

    path = tmp_path / "model.keras"
    save_keras(path, keras.Sequential([keras.Input((3,)), Unregistered()]), CARD)
    with pytest.raises(ModelError, match="Received: ") as caught:
        load_keras(path)
    assert_one_line(caught.value)


def test_a_saved_model_comes_as_one_opaque_layer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = plain_network()
    model.export(tmp_path / "saved", verbose=False)
    capfd.readouterr()
    loaded, card = load_keras(tmp_path / "saved")
    assert capfd.readouterr() == ("", "")
    assert card is None
    assert is_opaque(loaded) and not is_opaque(model)
    assert (loaded.input_shape, loaded.inputs[0].dtype) == ((None, 6, 6, 3), "uint8")
    np.testing.assert_allclose(call(loaded, images()), call(model, images()), atol=1e-6)


def test_a_saved_model_of_two_inputs_is_refused(tmp_path: Path) -> None:
    inputs = [keras.Input((3,)), keras.Input((3,))]
    keras.Model(inputs, layers.Add()(inputs)).export(tmp_path / "saved", verbose=False)
    with pytest.raises(ModelError, match="serving signature with one input") as caught:
        load_keras(tmp_path / "saved")
    assert_one_line(caught.value)
