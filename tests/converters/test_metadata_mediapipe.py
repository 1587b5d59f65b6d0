"""Exported classifiers in MediaPipe Tasks, as they are: its labels are ours, and its scores for images of the model's size."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from benchmarks.peers import MEDIAPIPE
from edge_sdk_converters.metadata import add_metadata, classifier_metadata
from edge_sdk_converters.pack.config import Storage
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.request import BundleRequest, HeldOut
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import Bundle, Classifier, Color, PreprocessSpec
from tests.converters.helpers import plain_network, run_tflite
from tests.mediapipe_environment import CONSTRAINTS, PYTHON, needs_mediapipe

LABELS = ("blue mug", "Tasse à café", "日本語")
SIDE = 32
SPEC = PreprocessSpec(SIDE, SIDE)

_CLASSIFY = """
import json, sys
import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata, schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions, vision

def plain(value):
    # What the schema that comes with MediaPipe reads, as JSON has it.
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode()
    return {key: plain(each) for key, each in vars(value).items() if plain(each)} if hasattr(value, "__dict__") else value

def description(path):
    model = schema.ModelT.InitFromPackedBuf(open(path, "rb").read(), 0)
    (buffer,) = [each.buffer for each in model.metadata if each.name == b"TFLITE_METADATA"]
    return plain(metadata.ModelMetadataT.InitFromPackedBuf(bytes(model.buffers[buffer].data), 0))

def answers(path, images):
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=path))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for image in images:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            (head,) = classifier.classify(image).classifications
            categories = sorted(head.categories, key=lambda each: each.index)
            yield [head.head_name, [each.category_name for each in categories], [each.score for each in categories]]

images, said = np.load(sys.argv[1]), {}
for path in sys.argv[2:]:
    try:
        said[path] = list(answers(path, images))
    except (RuntimeError, ValueError) as error:
        said[path] = str(error)
said["description"] = description(sys.argv[2])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """As a camera's, of the models' size."""
    return np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def bundles(images: np.ndarray) -> dict[str, Bundle]:
    model = plain_network(side=SIDE)
    targets = np.arange(len(images)) % len(LABELS)

    def bundle(mode: QuantizeMode, storage: Storage) -> Bundle:
        return build_bundle(
            BundleRequest(
                name="mugs",
                labels=LABELS,
                preprocess=SPEC,
                model=model,
                quantize=QuantizeConfig(mode),
                calibration=images[..., ::-1],
                held_out=HeldOut(list(images), targets, "noise"),
                storage=storage,
            )
        )

    return {
        "float32": bundle(QuantizeMode.FLOAT32, Storage.PLAIN),
        "static-int8": bundle(QuantizeMode.STATIC_INT8, Storage.CODED),
    }


@pytest.fixture(scope="module")
def large(images: np.ndarray) -> bytes:
    """A model of which the quantizer keeps the weights behind the flatbuffer."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = layers.Dense(100, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(len(LABELS), activation="softmax")(x))
    return quantize(export_tflite(model), QuantizeConfig(QuantizeMode.STATIC_INT8), images)


@pytest.fixture(scope="module")
def answers(
    bundles: dict[str, Bundle], large: bytes, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What MediaPipe says to every model: head, labels and scores per image, or an error."""
    gray = classifier_metadata("gray", LABELS, PreprocessSpec(SIDE, SIDE, color=Color.GRAY))
    models = {name: bundle.read("classifier.tflite") for name, bundle in bundles.items()} | {
        "large": add_metadata(large, classifier_metadata("large", LABELS, SPEC)),
        "gray": add_metadata(export_tflite(plain_network(side=SIDE, channels=1)), gray),
    }
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "images.npy", np.ascontiguousarray(images[..., ::-1]))
    for name, content in models.items():
        (folder / f"{name}.tflite").write_bytes(content)
    paths = {name: str(folder / f"{name}.tflite") for name in models}
    command = [str(PYTHON), "-c", _CLASSIFY, str(folder / "images.npy"), *paths.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return {name: said[path] for name, path in paths.items()} | {"description": said["description"]}


def assert_agreement(said: Any, scores: np.ndarray, tolerance: float) -> None:
    assert isinstance(said, list), said
    for (head, labels, theirs), ours in zip(said, scores, strict=True):
        assert (head, tuple(labels)) == ("probability", LABELS)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance)


def test_the_release_is_the_one_that_the_benchmarks_compare_with() -> None:
    assert MEDIAPIPE in CONSTRAINTS.read_text(encoding="utf-8").split()


class TestInMediaPipe:
    pytestmark = needs_mediapipe

    @pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-5), ("static-int8", 0.01)])
    def test_a_bundle_s_classifier_gives_our_labels_and_our_scores(
        self, name: str, tolerance: float, answers: Mapping[str, Any], bundles: dict[str, Bundle], images: np.ndarray
    ) -> None:
        with Classifier(bundles[name]) as classifier:
            ours = np.stack([classifier.classify(image).scores for image in images])
        assert_agreement(answers[name], ours, tolerance)

    def test_a_large_quantized_model_opens_too(
        self, answers: Mapping[str, Any], large: bytes, images: np.ndarray
    ) -> None:
        assert_agreement(answers["large"], run_tflite(large, images[..., ::-1]), 0.01)

    def test_its_schema_reads_what_was_written(self, answers: Mapping[str, Any]) -> None:
        described = answers["description"]
        (graph,) = described.pop("subgraphMetadata")
        assert described == {
            "name": "mugs",
            "description": "Image classifier with 3 classes, by Edge SDK.",
            "version": "1",
            "minParserVersion": "1.0.0",
        }
        (image,), (scores,) = graph["inputTensorMetadata"], graph["outputTensorMetadata"]
        assert image["content"] == {
            "contentPropertiesType": 2,
            "contentProperties": {"colorSpace": 1, "defaultSize": {"width": SIDE, "height": SIDE}},
        }
        assert image["processUnits"] == [{"optionsType": 1, "options": {"mean": [0.0], "std": [1.0]}}]
        assert image["stats"] == {"max": [255.0], "min": [0.0]} and scores["stats"] == {"max": [1.0], "min": [0.0]}
        assert scores["associatedFiles"] == [{"name": "labels.txt", "type": 2}]

    def test_grey_images_are_what_it_does_not_take(self, answers: Mapping[str, Any]) -> None:
        assert answers["gray"] == "Only RGB color space is supported for now."
