"""Fast area shrinking against OpenCV's exact one: time and difference, on photographs, for camera sizes and model sizes.

Both run through the preprocessor, which crops the centre and swaps the colours as well, in turn, in one process and one
thread. The difference is the mean of absolute grey levels; that of the worse photograph counts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_sdk_runtime import Interpolation, Preprocessor, PreprocessSpec

from .harness import Outcome, at_least, at_most, command
from .in_turn import median_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAMES = ((640, 480), (1920, 1080))
_SIDES = (32, 96, 224)


def measure(quick: bool) -> Outcome:
    """Every frame size to every model size."""
    cv2.setNumThreads(1)
    rows = [_compare(size, side, 3 if quick else 200) for size in _FRAMES for side in _SIDES]
    faster = [row["area / fast"] for row in rows]
    figures = [
        at_least("times faster than INTER_AREA, geometric mean", float(np.exp(np.mean(np.log(faster)))), 4, why=_WHY),
        at_least("times faster, least of the six", min(faster), _AS_FAST),
        at_most("mean difference, largest of the six", max(row["mean difference"] for row in rows), 1.5, "grey levels"),
    ]
    notes = ["A frame that is five times the input is averaged exactly by both: the same code, equally fast."]
    return Outcome("two photographs (scikit-learn's sample images), 1 thread", figures, rows, notes=notes)


_WHY = (
    "one of the six is a whole multiple, where exact and fast area are the same; six linear samples a side take most of the "
    "rest, and fewer of them miss the allowed difference"
)
_AS_FAST = 0.97
"""Two runs of the same code differ by so much; where both are the same, neither is slower."""


def _compare(size: tuple[int, int], side: int, runs: int) -> dict[str, Any]:
    frames = _photographs(size)
    exact, fast = (
        Preprocessor(PreprocessSpec(side, side, interpolation=kind))
        for kind in (Interpolation.AREA, Interpolation.FAST_AREA)
    )
    out = np.empty((side, side, 3), np.uint8)
    slow_ns, fast_ns = median_ns(
        (lambda frame: exact.into(frame, out), lambda frame: fast.into(frame, out)), frames[0], runs
    )
    differences = [float(np.abs(exact(frame).astype(int) - fast(frame)).mean()) for frame in frames]
    return {
        "frame": f"{size[0]}×{size[1]}",
        "input": f"{side}×{side}",
        "area p50 µs": slow_ns / 1e3,
        "fast area p50 µs": fast_ns / 1e3,
        "area / fast": slow_ns / fast_ns,
        "mean difference": max(differences),
    }


def _photographs(size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    from sklearn.datasets import load_sample_images

    return [
        cv2.resize(np.ascontiguousarray(image[:, :, ::-1]), size, interpolation=cv2.INTER_CUBIC).astype(
            np.uint8, copy=False
        )
        for image in load_sample_images().images
    ]


if __name__ == "__main__":
    sys.exit(command("area_resize", measure))
