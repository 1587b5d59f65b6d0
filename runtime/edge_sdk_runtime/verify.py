"""Golden vectors: sample frames with the expected result of every stage, kept in the bundle and repeated on the device.

Photographs would make a bundle many times larger than its model, so the frames are small, and one large frame is computed:
a pattern of fine stripes and slow gradients that a wrong crop, colour order or resize changes visibly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .bundle import GOLDEN, Bundle
from .errors import BundleCorruptError
from .interpreters import InterpreterPlug, interpreter_for
from .manifest import Tolerances
from .pipelines import Pipeline, make_pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STAGES", "GoldenVectors", "StageCheck", "Verification", "golden_pattern", "sample_grid", "verify"]

STAGES = ("preprocess", "embed", "similarity", "scores")
"""Stages whose results are compared, in the order in which they run; the fused form has the first and the last."""

_GRID = 16


@dataclass(frozen=True)
class GoldenVectors:
    """Sample frames and what every stage makes of them.

    Attributes:
        frames: `uint8 [height, width, 3]`, BGR, each of its own size.
        expected: By stage name, one row per frame; `preprocess` holds `sample_grid` of the model input.
    """

    frames: tuple[NDArray[np.uint8], ...]
    expected: dict[str, NDArray[np.generic]]

    @classmethod
    def record(cls, pipeline: Pipeline, frames: Sequence[NDArray[np.uint8]]) -> GoldenVectors:
        """Run frames, and the test pattern after them, and keep what every stage gives."""
        frames = (*frames, golden_pattern())
        traces = [_comparable(pipeline.trace(frame)) for frame in frames]
        return cls(frames, {stage: np.stack([trace[stage] for trace in traces]) for stage in traces[0]})

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What `golden.npz` holds; the test pattern, last of the frames, is computed and not stored."""
        frames = {f"frame_{i}": frame for i, frame in enumerate(self.frames[:-1])}
        return {**frames, **{f"expected_{stage}": rows for stage, rows in self.expected.items()}}

    @classmethod
    def of(cls, bundle: Bundle) -> GoldenVectors:
        """Read a bundle's golden vectors.

        Raises:
            BundleCorruptError: They are missing or incomplete.
        """
        arrays = bundle.read_arrays(GOLDEN)
        expected = {stage: arrays[f"expected_{stage}"] for stage in STAGES if f"expected_{stage}" in arrays}
        names = [f"frame_{i}" for i in range(sum(name.startswith("frame_") for name in arrays))]
        frames = [arrays[name] for name in names if name in arrays and _is_frame(arrays[name])]
        complete = len(frames) == len(names) and "scores" in expected
        if not complete or any(rows.ndim < 2 or len(rows) != len(names) + 1 for rows in expected.values()):
            raise BundleCorruptError(
                f"Golden vectors must hold a row per frame and stage. Received: {sorted(arrays)}. Write the bundle again."
            )
        return cls((*(frame.astype(np.uint8, copy=False) for frame in frames), golden_pattern()), expected)


@dataclass(frozen=True)
class StageCheck:
    """How far one stage of one form is from its golden vectors.

    Attributes:
        form: `"staged"` or `"fused"`.
        stage: One of `STAGES`.
        difference: The largest over all frames: for `preprocess` the mean over an image in grey levels, else absolute.
        tolerance: The largest that passes.
    """

    form: str
    stage: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the stage reproduces its golden vectors; NaN never does."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """The outcome of repeating the golden vectors.

    Attributes:
        interpreter: The interpreter and its version; NumPy's where the bundle holds no model.
        frames: Number of frames compared.
        checks: Every form and stage, in order.
    """

    interpreter: str
    frames: int
    checks: tuple[StageCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every stage of every form passed."""
        return all(check.passed for check in self.checks)

    @property
    def first_failure(self) -> StageCheck | None:
        """The first stage that differs; those after it only inherit the difference."""
        return next((check for check in self.checks if not check.passed), None)


def verify(bundle: Bundle, interpreter: str | InterpreterPlug | None = None) -> Verification:
    """Repeat a bundle's golden vectors in every form it holds, on this machine.

    Args:
        bundle: An opened bundle.
        interpreter: A plug or its name; chosen by `interpreter_for` where None, which needs none for a bundle without models.

    Raises:
        BundleCorruptError: The bundle holds no usable golden vectors.
        InterpreterError: The interpreter refuses a model.
    """
    plug = interpreter_for(bundle.manifest.models, interpreter)
    golden = GoldenVectors.of(bundle)
    checks: list[StageCheck] = []
    for form in bundle.manifest.forms:
        pipeline = make_pipeline(bundle, form, plug, threads=1)
        try:
            checks += _compare(form, pipeline, golden, bundle.manifest.tolerances)
        finally:
            pipeline.close()
    return Verification(f"{plug.name} {plug.version()}", len(golden.frames), tuple(checks))


def _compare(form: str, pipeline: Pipeline, golden: GoldenVectors, tolerances: Tolerances) -> list[StageCheck]:
    traces = [_comparable(pipeline.trace(frame)) for frame in golden.frames]
    checks = []
    for stage in (stage for stage in STAGES if stage in traces[0] and stage in golden.expected):
        received = np.stack([trace[stage] for trace in traces]).astype(np.float64)
        expected = golden.expected[stage].astype(np.float64)
        if received.shape != expected.shape:
            raise BundleCorruptError(
                f"Golden vectors of stage {stage} must be {list(received.shape)}. Received: {list(expected.shape)}. Write the bundle again."
            )
        differences = np.abs(received - expected).reshape(len(received), -1)
        worst = differences.mean(axis=1).max() if stage == "preprocess" else differences.max()
        checks.append(StageCheck(form, stage, float(worst), getattr(tolerances, stage)))
    return checks


def _is_frame(array: NDArray[np.generic]) -> bool:
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size > 0


def _comparable(trace: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    return {stage: sample_grid(result) if stage == "preprocess" else result for stage, result in trace.items()}


def sample_grid(image: NDArray[np.generic]) -> NDArray[np.generic]:
    """At most 16 × 16 evenly spaced pixels of a model input: enough to see a wrong crop, colour or resize.

    Args:
        image: `[height, width, channels]`.

    Returns:
        `[min(16, height), min(16, width), channels]`.
    """
    rows = np.linspace(0, image.shape[0] - 1, min(_GRID, image.shape[0])).round().astype(int)
    columns = np.linspace(0, image.shape[1] - 1, min(_GRID, image.shape[1])).round().astype(int)
    sampled: NDArray[np.generic] = image[rows][:, columns]
    return sampled


def golden_pattern(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """A frame that needs no storage: gradients in blue and green, stripes 3 pixels wide in red.

    Integer arithmetic only, so that every machine computes the same pixels.

    Returns:
        `uint8 [height, width, 3]`, BGR.
    """
    x, y = np.arange(width), np.arange(height)[:, np.newaxis]
    pattern = np.empty((height, width, 3), np.uint8)
    pattern[..., 0], pattern[..., 1] = x * 255 // max(1, width - 1), y * 255 // max(1, height - 1)
    odd = ((x // 3) % 2 != (y // 3) % 2).view(np.uint8)  # a byte per pixel: eight would take ten times as long
    pattern[..., 2] = odd * np.uint8(200) + (x > width // 2) * np.uint8(50)
    return pattern
