"""What the runtime costs over the least code that does the same: resize, colour swap into the input tensor, invoke, argmax.

Both sides run on the same int8 model and the same 640×480 frame, in turn, in one process. Linear resizing is the hard case:
area resizing takes so long that any overhead disappears in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_sdk_runtime import Bundle, Classifier, Interpolation, MlpHead
from edge_sdk_runtime.interpreters.quiet import without_notices

from .harness import Outcome, at_most, command
from .in_turn import median_ns
from .models import photograph, random_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 32
_GOAL = 1.25


def measure(quick: bool) -> Outcome:
    """Median latency of the classifier and of the floor, in both forms and both interpolations."""
    frame, runs = photograph(), 300 if quick else 20_000
    rows = []
    for interpolation in Interpolation:
        bundle = random_bundle(_SIDE, interpolation)
        rows += [_compare(bundle, form, interpolation, frame, runs) for form in ("fused", "staged")]
    hard = {row["form"]: row["ratio"] for row in rows if row["resize"] == Interpolation.LINEAR.value}
    figures = [at_most(f"{form}: classifier / floor, p50", hard[form], _GOAL) for form in ("fused", "staged")]
    return Outcome(f"{_SIDE}×{_SIDE} int8 model, 640×480 photograph, 1 thread, {runs} runs in turn", figures, rows)


def _compare(
    bundle: Bundle, form: str, interpolation: Interpolation, frame: NDArray[np.uint8], runs: int
) -> dict[str, Any]:
    floor = (_fused_floor if form == "fused" else _staged_floor)(bundle, interpolation)
    with Classifier(bundle, form=form) as classifier:
        assert classifier.classify(frame).class_index == floor(frame), "both sides must compute the same"
        ours, least = median_ns((classifier.classify, floor), frame, runs)
    return {
        "form": form,
        "resize": interpolation.value,
        "classifier p50 µs": ours / 1e3,
        "floor p50 µs": least / 1e3,
        "ratio": ours / least,
    }


def _interpreter(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with without_notices():
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def _fused_floor(bundle: Bundle, interpolation: Interpolation) -> Callable[[NDArray[np.uint8]], int]:
    interpreter = _interpreter(bundle.read("classifier.tflite"))
    image = interpreter.tensor(interpreter.get_input_details()[0]["index"])
    scores = interpreter.tensor(interpreter.get_output_details()[0]["index"])
    small = np.empty((_SIDE, _SIDE, 3), np.uint8)
    flag = cv2.INTER_AREA if interpolation is Interpolation.AREA else cv2.INTER_LINEAR

    def floor(frame: NDArray[np.uint8]) -> int:
        cv2.resize(frame, (_SIDE, _SIDE), dst=small, interpolation=flag)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=image()[0])
        interpreter.invoke()
        return int(scores()[0].argmax())

    return floor


def _staged_floor(bundle: Bundle, interpolation: Interpolation) -> Callable[[NDArray[np.uint8]], int]:
    interpreter = _interpreter(bundle.read("encoder.tflite"))
    image = interpreter.tensor(interpreter.get_input_details()[0]["index"])
    embedding = interpreter.tensor(interpreter.get_output_details()[0]["index"])
    table = bundle.read_arrays("prototypes.npy")[""].astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    head = MlpHead.from_bytes(bundle.read("head.npz"))
    (first, last), (hidden_bias, last_bias) = head.kernels, head.biases
    small = np.empty((_SIDE, _SIDE, 3), np.uint8)
    flag = cv2.INTER_AREA if interpolation is Interpolation.AREA else cv2.INTER_LINEAR

    def floor(frame: NDArray[np.uint8]) -> int:
        cv2.resize(frame, (_SIDE, _SIDE), dst=small, interpolation=flag)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=image()[0])
        interpreter.invoke()
        vector = embedding()[0]
        features = table @ vector / np.sqrt(vector @ vector)
        logits = np.maximum(features @ first + hidden_bias, 0) @ last + last_bias
        exponentials = np.exp(logits - logits.max())
        return int((exponentials / exponentials.sum()).argmax())

    return floor


if __name__ == "__main__":
    sys.exit(command("overhead", measure))
