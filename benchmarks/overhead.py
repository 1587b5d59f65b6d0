"""What the runtime costs over the least code that does the same: resize, colour swap into the input tensor, invoke, argmax.

Both sides run on the same int8 model and the same 640×480 frame, in turn, in one process. Linear resizing is the hard case:
area resizing takes so long that any overhead disappears in it. What Python allocates is counted apart, by tracemalloc.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_sdk_runtime import Bundle, Classifier, Interpolation, MlpHead
from edge_sdk_runtime.geometry import FAST_AREA_LIMIT
from edge_sdk_runtime.interpreters.quiet import without_notices

from .harness import Outcome, at_most, command
from .in_turn import median_ns
from .models import photograph, random_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 32
_RING = 4096
"""Classifications whose times a classifier keeps."""
_GOALS = {"fused": 1.08, "staged": 1.15}


def measure(quick: bool) -> Outcome:
    """Median latency of the classifier and of the floor, in both forms and both interpolations."""
    frame, runs = photograph(), 300 if quick else 20_000
    rows = []
    for interpolation in Interpolation:
        bundle = random_bundle(_SIDE, interpolation)
        rows += [_compare(bundle, form, interpolation, frame, runs) for form in ("fused", "staged")]
    hard = {row["form"]: row["ratio"] for row in rows if row["resize"] == Interpolation.LINEAR.value}
    figures = [at_most(f"{form}: classifier / floor, p50", hard[form], goal) for form, goal in _GOALS.items()]
    allocated = max(row["bytes at most"] for row in rows)
    figures.append(at_most("most that Python holds for a frame in steady state", allocated, 1024, "bytes"))
    return Outcome(f"{_SIDE}×{_SIDE} int8 model, 640×480 photograph, 1 thread, {runs} runs in turn", figures, rows)


def _compare(
    bundle: Bundle, form: str, interpolation: Interpolation, frame: NDArray[np.uint8], runs: int
) -> dict[str, Any]:
    floor = (_fused_floor if form == "fused" else _staged_floor)(bundle, interpolation)
    with Classifier(bundle, form=form) as classifier:
        assert classifier.classify(frame).class_index == floor(frame), "both sides must compute the same"
        ours, least = median_ns((classifier.classify, floor), frame, runs)
        allocated = _allocated(classifier, frame)
    return {
        "form": form,
        "resize": interpolation.value,
        "classifier p50 µs": ours / 1e3,
        "floor p50 µs": least / 1e3,
        "ratio": ours / least,
        "bytes at most": allocated,
    }


def _allocated(classifier: Classifier, frame: NDArray[np.uint8]) -> int:
    """Most bytes that Python holds at any moment of a classification, above those before it."""
    latest = classifier.classify(frame).durations_ns
    for _ in range(_RING):  # its list grows until it is full; from then on is steady state
        classifier.clock.record(latest)
    tracemalloc.start()
    highest = 0
    for _ in range(50):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        classifier.classify(frame)
        highest = max(highest, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    return highest


def _shrinking(interpolation: Interpolation) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """The least code for a kind of resizing, into memory that is already there."""
    size, wide = (_SIDE, _SIDE), (FAST_AREA_LIMIT * _SIDE, FAST_AREA_LIMIT * _SIDE)
    half = (wide[0] // 2, wide[1] // 2)
    small, samples, halved = (np.empty((*each, 3), np.uint8) for each in (size, wide, half))
    flag = cv2.INTER_LINEAR if interpolation is Interpolation.LINEAR else cv2.INTER_AREA

    def shrink(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if interpolation is Interpolation.FAST_AREA:
            cv2.resize(frame, wide, dst=samples, interpolation=cv2.INTER_LINEAR)
            cv2.resize(samples, half, dst=halved, interpolation=cv2.INTER_AREA)
            frame = halved
        cv2.resize(frame, size, dst=small, interpolation=flag)
        return small

    return shrink


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
    shrink = _shrinking(interpolation)

    def floor(frame: NDArray[np.uint8]) -> int:
        cv2.cvtColor(shrink(frame), cv2.COLOR_BGR2RGB, dst=image()[0])
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
    shrink = _shrinking(interpolation)

    def floor(frame: NDArray[np.uint8]) -> int:
        cv2.cvtColor(shrink(frame), cv2.COLOR_BGR2RGB, dst=image()[0])
        interpreter.invoke()
        vector = embedding()[0]
        features = table @ vector / np.sqrt(vector @ vector)
        logits = np.maximum(features @ first + hidden_bias, 0) @ last + last_bias
        exponentials = np.exp(logits - logits.max())
        return int((exponentials / exponentials.sum()).argmax())

    return floor


if __name__ == "__main__":
    sys.exit(command("overhead", measure))
