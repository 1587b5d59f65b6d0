"""The gate's word against what really happens: every quantization of three networks, on both runtimes.

Every file is loaded and run by each runtime in a process of its own. It runs where its answers are those of the float network
but for the rounding of its weights; it does not where the runtime refuses it, dies of it, or answers something else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from edge_sdk_converters.probe import Environment, run_models
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime.gate import Finding, check_operators
from edge_sdk_runtime.operators import read_operators

from .harness import Outcome, at_least, command

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["measure"]

_OLD = Path(__file__).parents[1] / ".venv-tflite" / "bin" / "python"
_SIDE = 12
_IMAGES = 2
_TOLERANCE = 0.5
"""Of the logits' norm: int4 weights cost up to 0.2, what goes wrong costs 1 and more."""


def measure(quick: bool) -> Outcome:
    """What the gate says of each file on each runtime, and what happens."""
    images = np.random.default_rng(0).integers(0, 256, (32, _SIDE, _SIDE, 3), np.uint8)
    networks = _networks(quick)
    files = [
        (network, form, model, reference)
        for network, reference in networks.items()
        for form, model in _forms(reference, images, quick)
    ]
    places = [Environment(Path(sys.executable)), *([Environment(_OLD)] if _OLD.exists() else [])]
    rows = [row for place in places for row in _rows(place, files, images[:_IMAGES])]
    agreeing = sum(row["gate"] == row["happens"] for row in rows)
    notes = [] if _OLD.exists() else ["tflite-runtime was left out: run make .venv-tflite/.ready first."]
    figures = [
        at_least(f"verdicts that equal what happens, of {len(rows)}", agreeing, len(rows)),
        at_least("of these, files that a runtime does not run", sum(row["happens"] != "runs" for row in rows), 1),
    ]
    data = f"{len(files)} files: {len(files) // len(networks)} forms each of {', '.join(networks)}"
    return Outcome(data, figures, rows, notes=notes)


def _networks(quick: bool) -> dict[str, keras.Model]:
    """Networks with random weights, which give logits; pixels become −1 to 1."""
    keras.utils.set_random_seed(0)  # before any layer: each draws its own seed when it is made
    bodies: dict[str, list[keras.Layer]] = {
        "dense": [layers.Flatten(), layers.Dense(64, activation="relu", name="hidden")],
        "conv": [
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv"),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ],
        "depthwise": [
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="stem"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise"),
            layers.Conv2D(32, 1, activation="relu", name="pointwise"),
            layers.Flatten(),
        ],
    }
    return {name: _network(name, body) for name, body in bodies.items() if not quick or name == "dense"}


def _network(name: str, body: list[keras.Layer]) -> keras.Model:
    image = value = keras.Input((_SIDE, _SIDE, 3), dtype="uint8", name="image")
    for layer in (layers.Rescaling(1 / 127.5, -1), *body, layers.Dense(10, name="logits")):
        value = layer(value)
    return keras.Model(image, value, name=name)


def _forms(model: keras.Model, images: NDArray[np.uint8], quick: bool) -> Iterator[tuple[str, bytes]]:
    """The SDK's own modes, and two forms that others write: a bare 16-bit one, and TensorFlow's dynamic range."""
    exported = export_tflite(model)
    modes = list(QuantizeMode)[:3] if quick else list(QuantizeMode)
    for mode in modes:
        yield mode.value, quantize(exported, QuantizeConfig(mode), images)
    yield "bare static-int16x8", _bare_int16(exported, images)
    yield "TensorFlow's dynamic range", _tensorflow_dynamic(model)


def _bare_int16(exported: bytes, images: NDArray[np.uint8]) -> bytes:
    """All that the quantizer has a 16-bit form of, pixels and their offset too."""
    from ai_edge_quantizer import quantizer, recipe

    from edge_sdk_converters.quantize.calibrate import calibrate
    from edge_sdk_converters.quantize.quiet import quietly

    with quietly():
        output = {"regex": ".*", "operation": "OUTPUT", "algorithm_key": "no_quantize", "op_config": {}}
        session = quantizer.Quantizer(bytearray(exported), [*recipe.static_wi8_ai16(), output])
        return bytes(session.quantize(dict(calibrate(exported, images))).quantized_model)


def _tensorflow_dynamic(model: keras.Model) -> bytes:
    import tensorflow as tf

    from edge_sdk_converters.quantize.quiet import quietly

    fixed = keras.Input(batch_shape=(1, _SIDE, _SIDE, 3), dtype="uint8")
    with quietly():
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(fixed, model(fixed)))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


def _rows(
    place: Environment, files: list[tuple[str, str, bytes, keras.Model]], images: NDArray[np.uint8]
) -> Iterator[dict[str, Any]]:
    runtime, said = run_models(place, [(model, image) for _, _, model, _ in files for image in images])
    for number, (network, form, model, reference) in enumerate(files):
        answers = said[number * len(images) : (number + 1) * len(images)]
        findings = check_operators(read_operators(model), runtime)
        happens, told = _what_happens(answers, reference, images)
        yield {
            "runtime": str(runtime),
            "network": network,
            "form": form,
            "gate": "does not run" if findings else "runs",
            "happens": happens,
            "why, says the gate": _first(findings, lambda finding: finding.received),
            "what was seen": told,
        }


def _what_happens(
    answers: list[NDArray[np.float32] | str], reference: keras.Model, images: NDArray[np.uint8]
) -> tuple[str, str]:
    """Whether it runs, and what was seen: an error, or how far the logits are from the float network's."""
    errors = [answer for answer in answers if isinstance(answer, str)]
    if errors:
        return "does not run", _gist(errors[0])
    expected = keras.ops.convert_to_numpy(reference(images, training=False))
    missed = float(np.linalg.norm(np.stack(answers) - expected) / np.linalg.norm(expected))
    return ("runs" if missed <= _TOLERANCE else "does not run"), f"{missed:.1%} from float"


def _gist(error: str) -> str:
    """What an interpreter said, without where in its sources it said it and what came of it."""
    said = " ".join(error.split()).partition("Node number")[0].partition(". An older")[0]
    return said.rpartition(".cc:")[2].partition(" ")[2] if ".cc:" in said else said


def _first(findings: tuple[Finding, ...], word: Callable[[Finding], str]) -> str:
    return word(findings[0]) if findings else ""


if __name__ == "__main__":
    sys.exit(command("gate", measure))
