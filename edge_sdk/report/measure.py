"""What a report says of one bundle, measured with the runtime on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_converters.evaluate import Evaluation, embed, evaluate
from edge_sdk_converters.metadata import ModelMetadata, read_metadata
from edge_sdk_runtime import Bundle

from ..data import ImageSet, Splits, load_images
from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk_converters.pipeline import PassReport
    from edge_sdk_converters.quantize.plan import Quantization

__all__ = ["BundleResult", "check_labels", "load_again", "measure"]

_MAP_IMAGES = 1000
"""More points than this make an embedding map a blot."""


@dataclass(frozen=True)
class BundleResult:
    """One bundle in a report.

    Attributes:
        title: What the report calls it, such as `"float"`.
        bundle: The bundle.
        bundle_bytes: Size of its `.edge` file.
        evaluation: Accuracy, confusion and latency on held-out images.
        embeddings: `float32 [M, D]` of the first M held-out images, where the bundle has a staged form.
        passes: What each pass did, where the bundle was compressed just now.
        quantization: What quantizing it costs and buys, likewise.
        metadata: What its classifier's file says of itself, where the bundle has a fused form.
    """

    title: str
    bundle: Bundle
    bundle_bytes: int
    evaluation: Evaluation
    embeddings: NDArray[np.float32] | None = None
    passes: tuple[PassReport, ...] = ()
    quantization: Quantization | None = None
    metadata: ModelMetadata | None = None


def measure(
    title: str,
    bundle: Bundle,
    images: ImageSet,
    *,
    passes: tuple[PassReport, ...] = (),
    quantization: Quantization | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BundleResult:
    """Run a bundle on held-out images.

    Args:
        title: What the report calls it.
        bundle: An opened bundle.
        images: Held-out images with the bundle's classes.
        passes: What each pass did, for the report.
        quantization: What quantizing it costs and buys, likewise.
        progress: Told how many images are classified.
    """
    evaluation = evaluate(bundle, images, images.targets, progress=progress)
    first = images.take(np.arange(min(_MAP_IMAGES, len(images))))
    embeddings = embed(bundle, first) if bundle.manifest.staged else None
    size = len(bundle.to_bytes())
    return BundleResult(title, bundle, size, evaluation, embeddings, passes, quantization, _metadata(bundle))


def _metadata(bundle: Bundle) -> ModelMetadata | None:
    fused = bundle.manifest.fused
    return read_metadata(bundle.read(fused.classifier)) if fused else None


def load_again(source: str, bundle: Bundle, *, strict: bool, progress: Callable[[int, int], None] | None) -> Splits:
    """Load a bundle's images split as they were when it was made, so that those it learnt from are not counted.

    Args:
        source: What `load_images` takes.
        bundle: Its provenance says how the images were split.
        strict: Refuse unreadable images.
        progress: Told how many files are decoded.
    """
    seed, limit = (bundle.manifest.provenance.get(key, "") for key in ("seed", "limit"))
    numbers = [int(text) if text.isdecimal() else None for text in (seed, limit)]
    return load_images(source, seed=numbers[0] or 0, limit=numbers[1], strict=strict, progress=progress)


def check_labels(bundle: Bundle, images: ImageSet) -> None:
    """Refuse images whose classes are not the bundle's.

    Raises:
        DataError: Names both.
    """
    if images.labels != bundle.manifest.labels:
        raise DataError(
            f"The images' classes must be the bundle's: {', '.join(bundle.manifest.labels)}. "
            f"Received: {', '.join(images.labels)}. Pass the data the bundle was made for."
        )
