"""The demo's figures: handwritten digits, float against compressed, both measured with the runtime on held-out images."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .harness import Figure, Outcome, at_least, at_most, command

if TYPE_CHECKING:
    from edge_sdk.report.measure import BundleResult


def measure(quick: bool) -> Outcome:
    """Run the demo and compare its two bundles."""
    from edge_sdk.data import load_images
    from edge_sdk.demo import run_demo
    from edge_sdk.report.tables import comparison
    from edge_sdk_converters.recipe import BUILT_IN

    begun = time.perf_counter()
    splits = load_images("digits", limit=20 if quick else None)
    recipe = BUILT_IN["int8" if quick else "small"]
    with tempfile.TemporaryDirectory() as folder:
        results = run_demo(splits, recipe, Path(folder), epochs=2 if quick else None).results
    seconds = time.perf_counter() - begun
    original, compressed = results
    lost = original.evaluation.accuracy - compressed.evaluation.accuracy
    images = len(splits.test)
    figures = [
        at_least("held-out accuracy, float", original.evaluation.accuracy, 0.97),
        at_most("accuracy lost by compression", lost, 0.01),
        at_most("compressed bundle / float bundle, without memory", _bytes(compressed) / _bytes(original), 0.25),
        at_most("whole demo", seconds, 120, "s"),
        Figure("held-out accuracy, compressed", compressed.evaluation.accuracy),
    ]
    rows = [{"": row.name, "float": row.values[0], recipe.name: row.values[1]} for row in comparison(results)]
    return Outcome(f"scikit-learn's handwritten digits, {images} held-out images, recipe {recipe.name}", figures, rows)


def _bytes(result: BundleResult) -> int:
    """Size of a bundle without the feature memory, which is as large in both: no compression touches it."""
    from edge_sdk_runtime.memory import MEMORY

    return result.bundle_bytes - result.bundle.manifest.files[MEMORY].size_bytes


if __name__ == "__main__":
    sys.exit(command("demo", measure))
