"""The main job on one page: images → classifier → float and compressed bundles → both measured with the runtime → report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge_sdk_converters.keras_file import save_keras
from edge_sdk_converters.recipe import BUILT_IN, Recipe
from edge_sdk_runtime.files import write_atomically

from .compress import compress
from .data import Splits
from .learn.train import TrainConfig, Trained, default_spec, train_classifier
from .report.html import write_report
from .report.measure import BundleResult, measure

__all__ = ["DemoOutcome", "run_demo"]

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DemoOutcome:
    """What the demo leaves.

    Attributes:
        results: The float bundle, then the compressed one, both measured on the held-out images.
        report: The HTML page.
        next_commands: What to type next.
    """

    results: tuple[BundleResult, BundleResult]
    report: Path
    next_commands: tuple[str, ...]


def run_demo(
    splits: Splits,
    recipe: Recipe,
    folder: Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    told: Told | None = None,
    edge_run: str = "edge-run",
) -> DemoOutcome:
    """Train, compress, measure, report.

    Args:
        splits: Labelled images.
        recipe: What the compressed bundle is made by; the float one is made by the recipe `none`.
        folder: Where the model, both bundles, the report and a sample image are written.
        epochs: Passes over the images; by their number where None.
        seed: Of everything random.
        told: Told what is being done, and how far.
        edge_run: How the device's command is called from here, for the commands to type next.
    """
    name = Path(splits.name).name
    trained = train_classifier(splits, default_spec(splits, None), TrainConfig(epochs, seed=seed), told)
    save_keras(folder / f"{name}.keras", trained.model, trained.card)
    original = _bundle("float", BUILT_IN["none"], trained, splits, folder / f"{name}-float.edge", told)
    compressed = _bundle(recipe.name, recipe, trained, splits, folder / f"{name}.edge", told)
    sample = _sample(splits, folder)
    next_commands = (
        f"{edge_run} classify {folder / f'{name}.edge'} {sample} --top 3",
        f"{edge_run} verify {folder / f'{name}.edge'}",
    )
    report = folder / "report.html"
    notes = [splits.note] if splits.note else []
    write_report(report, [original, compressed], title=f"Edge SDK: {name}", notes=notes, next_commands=next_commands)
    return DemoOutcome((original, compressed), report, next_commands)


def _bundle(
    title: str, recipe: Recipe, trained: Trained, splits: Splits, path: Path, told: Told | None
) -> BundleResult:
    result = compress(
        trained.model,
        trained.card,
        splits,
        recipe,
        name=path.stem,
        prepared=(trained.train, trained.validation),
        told=told,
    )
    result.bundle.write(path)

    def timed(done: int, planned: int) -> None:
        if told:
            told(f"time the {title} bundle", done, planned)

    done = result.compressed
    return measure(
        title, result.bundle, splits.test, passes=done.reports, quantization=done.quantization, progress=timed
    )


def _sample(splits: Splits, folder: Path) -> Path:
    """A held-out image as a file, so that there is something to classify at once."""
    label = splits.labels[int(splits.test.targets[0])]
    path = folder / f"sample-{''.join(c if c.isalnum() else '-' for c in label)}.png"
    _, encoded = cv2.imencode(".png", splits.test[0])
    write_atomically(path, encoded.tobytes())
    return path
