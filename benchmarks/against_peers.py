"""From a camera frame to a label: the runtime against the script of a tutorial, MediaPipe Tasks and OpenCV's own networks.

Every side has the same int8 model and the same 640×480 BGR frame, and a process of its own; they take turns. Ratios are between
sides of equal resize quality: area averaging, which the runtime's fast area stays within 1.5 grey levels of, or linear sampling,
which is what MediaPipe does.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk_runtime import Interpolation

from .harness import Figure, Outcome, at_least, command
from .models import photograph, random_bundle
from .peers import MEDIAPIPE, SideProcess, environment, sides, take_turns

_SIDE = 32
_NAIVE_GOAL, _MEDIAPIPE_GOAL = 1.4, 3.0
_ONNX = (
    "ONNX Runtime is absent: tf2onnx 1.17, which turns .tflite into ONNX, fails on the int8 file "
    "(an operator without options), and a model quantized by another tool would be another model."
)


def measure(quick: bool) -> Outcome:
    """Median latency of every side, and the ratios that are claimed."""
    rounds, calls = (5, 20) if quick else (100, 50)
    mediapipe = None if quick else environment("mediapipe", MEDIAPIPE)
    notes = [_ONNX] if mediapipe or quick else [_ONNX, f"{MEDIAPIPE} cannot be installed here."]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        bundles, model, frame = _files(Path(name))
        started = [stack.enter_context(SideProcess(side, frame)) for side in sides(bundles, model, _SIDE, mediapipe)]
        ready = [process for process in started if process.answer is not None]
        notes += [f"{p.side.name} does not run this model: {p.end}." for p in started if p.answer is None]
        medians = take_turns(ready, rounds, calls)
    rows = [_row(process, median) for process, median in zip(ready, medians, strict=True)]
    data = f"{_SIDE}×{_SIDE} int8 model, 640×480 photograph, {rounds} turns of {calls} calls each"
    return Outcome(data, _figures(rows), rows, notes=notes)


def _figures(rows: list[dict[str, Any]]) -> list[Figure]:
    took = {(row["side"], row["resize"]): row["p50 µs"] for row in rows}
    ours = {resize: value for (side, resize), value in took.items() if side == "edge-sdk-runtime"}
    area = took["naive script", "area"] / ours["fast-area"]
    figures = [
        at_least("naive script (area) / runtime (fast area)", area, _NAIVE_GOAL),
        Figure("naive script (area) / runtime (area)", took["naive script", "area"] / ours["area"]),
        Figure("naive script (linear) / runtime (linear)", took["naive script", "linear"] / ours["linear"]),
    ]
    if ("MediaPipe", "linear") in took:
        from_camera = took["MediaPipe", "linear"] / ours["linear"]
        from_rgb = took["MediaPipe, frame in RGB", "linear"] / ours["linear"]
        figures += [
            at_least("MediaPipe / runtime (linear), from a camera's frame", from_camera, _MEDIAPIPE_GOAL),
            Figure("MediaPipe / runtime (linear), its frame converted beforehand", from_rgb),
        ]
    return figures


def _row(process: SideProcess, median: float) -> dict[str, Any]:
    p95 = float(np.percentile(process.times, 95))
    return {
        "side": process.side.name,
        "resize": process.side.resize,
        "p50 µs": median / 1e3,
        "p95 µs": p95 / 1e3,
        "class": process.answer,
    }


def _files(folder: Path) -> tuple[dict[str, Path], Path, Path]:
    """The same models under every interpolation, the fused one alone, and the frame."""
    bundles = {}
    for interpolation in Interpolation:
        bundle = random_bundle(_SIDE, interpolation)
        bundles[interpolation.value] = folder / f"{interpolation.value}.edge"
        bundle.write(bundles[interpolation.value])
    (folder / "model.tflite").write_bytes(bundle.read("classifier.tflite"))
    np.save(folder / "frame.npy", photograph())
    return bundles, folder / "model.tflite", folder / "frame.npy"


if __name__ == "__main__":
    sys.exit(command("against_peers", measure))
