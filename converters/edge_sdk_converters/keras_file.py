"""`.keras` files with a card: labels, preprocessing and the data's split travel with the model they belong to.

The card is one more JSON member of the `.keras` ZIP, which Keras ignores: the file opens in plain Keras too, and a file
that plain Keras wrote opens here, without a card.
"""

from __future__ import annotations

import json
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from edge_sdk_runtime import PreprocessSpec
from edge_sdk_runtime.files import write_atomically
from edge_sdk_runtime.preprocess import Color, Interpolation, ResizeMode

from . import layers, light  # noqa: F401  (loading a file needs its layers registered)
from .errors import ModelError

__all__ = ["ModelCard", "load_keras", "save_keras"]

_CARD = "edge_sdk.json"


@dataclass(frozen=True)
class ModelCard:
    """What a model's weights do not say.

    Attributes:
        labels: Class names, in the order of the model's outputs.
        preprocess: What is done to a frame before the model sees it.
        data: The set it learnt from, as the user named it.
        seed: Of the split, so that images held out in training stay held out afterwards.
        limit: Most images of each class that were split, for the same reason; None for all.
        flips: Whether a mirrored image keeps its class, for augmentation while recovering.
    """

    labels: tuple[str, ...]
    preprocess: PreprocessSpec
    data: str
    seed: int
    flips: bool
    limit: int | None = None


def save_keras(path: str | Path, model: keras.Model, card: ModelCard) -> None:
    """Write a model with its card, atomically.

    Args:
        path: The `.keras` file.
        model: Any Keras model that can be saved.
        card: What belongs to it.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "model.keras"
        _save(model, draft)
        with zipfile.ZipFile(draft, "a") as archive:
            archive.writestr(
                _CARD, json.dumps({**vars(card), "preprocess": vars(card.preprocess)}, ensure_ascii=False, indent=2)
            )
        write_atomically(path, draft.read_bytes())


def _save(model: keras.Model, path: Path) -> None:
    with warnings.catch_warnings():
        # Keras hands its variables to h5py through an __array__ method that NumPy 2.4 calls outdated; the file is right.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        model.save(path)


def load_keras(path: str | Path) -> tuple[keras.Model, ModelCard | None]:
    """Read a model, and its card where it has one.

    Args:
        path: A `.keras` file, or the folder of a SavedModel.

    Returns:
        The model and its card. A SavedModel comes as one opaque layer that can be exported and quantized, not rewritten.

    Raises:
        ModelError: There is no such file, or it holds no Keras model.
    """
    path = Path(path)
    if path.is_dir():
        return _load_saved_model(path), None
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(_CARD)) if _CARD in archive.namelist() else None
        return keras.saving.load_model(path, compile=False), _card(card) if card else None
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, KeyError, AttributeError) as error:
        first_line = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelError(
            f"A model must be a .keras file that Keras 3 wrote, or a SavedModel folder. Received: {path} ({first_line}). "
            "Save it with model.save('name.keras')."
        ) from error


def _card(document: dict[str, Any]) -> ModelCard:
    spec = document["preprocess"]
    return ModelCard(
        labels=tuple(map(str, document["labels"])),
        preprocess=PreprocessSpec(
            int(spec["width"]),
            int(spec["height"]),
            ResizeMode(spec["resize"]),
            Interpolation(spec["interpolation"]),
            Color(spec["color"]),
        ),
        data=str(document["data"]),
        seed=int(document["seed"]),
        flips=bool(document["flips"]),
        limit=None if document.get("limit") is None else int(document["limit"]),
    )


def _load_saved_model(path: Path) -> keras.Model:
    """A SavedModel's serving function as the only layer of a functional model."""
    import tensorflow as tf

    try:
        signatures = tf.saved_model.load(str(path)).signatures
        endpoint = "serve" if "serve" in signatures else "serving_default"
        signature = signatures[endpoint]
        (image_spec,) = signature.structured_input_signature[1].values()
        layer = keras.layers.TFSMLayer(str(path), call_endpoint=endpoint)
    except (OSError, KeyError, ValueError) as error:
        first_line = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelError(
            f"A SavedModel must have a serving signature with one input. Received: {path} ({first_line}). "
            "Export it with model.export(folder)."
        ) from error
    image = keras.Input(batch_shape=(None, *image_spec.shape[1:]), dtype=image_spec.dtype.name)
    outputs = layer(image)
    if isinstance(outputs, dict):
        outputs = next(iter(outputs.values()))
    return keras.Model(image, outputs, name=path.name)
