"""ImageEm on CIFAR-10, as both of its benchmarks need it: the literal pipeline, its rival, and the learned encoder.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020). Every row is a bundle that
the runtime classifies the test images with, once, after all choices were made on validation images; then all bundles run in
turn, 20 calls each, on the same frame, in one process with one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .harness import Figure, Outcome, at_least
from .imageem_networks import CNN, CNN_INT8, LEARNED, STAGED, Experiment, Images, Row, bundles, frames, images_of
from .in_turn import median_ns
from .sets import said_beside

__all__ = ["Experiment", "Published", "outcome"]

_IN_A_ROW = 20
"""Bundles have up to 10 MB: in turn one by one, their places in the order would move ratios by a third."""


@dataclass(frozen=True)
class Published:
    """The paper's figures.

    Attributes:
        accuracy: Of ImageEm, in percent.
        cnn: Of its vanilla CNN, in percent.
        faster: How many times as fast as that ImageEm classified.
    """

    accuracy: float
    cnn: float
    faster: float


def outcome(experiment: Experiment, published: Published, name: str, *, quick: bool) -> Outcome:
    """Train what is not kept, measure every bundle on the test images, then time all in turn.

    Args:
        experiment: Which classes, and how everything is trained.
        published: What it is compared with.
        name: What to call the images.
        quick: Whether only the code is tried, on digits.
    """
    images = images_of(experiment, quick=quick)
    table = _rows(bundles(experiment, images), images, 20 if quick else 2000)
    counts = f"{len(images.train):,} training, {len(images.validation):,} validation, {len(images.test):,} test images"
    note = (
        "The learned encoder learnt from the training images of all ten classes and from what two networks say of them: one had learnt "
        "from ImageNet's 1.28 million photographs before it was tuned on the same training images, the other one from these alone. None "
        "saw a test image. Every bundle is timed over 20 calls in a row, then the next has its turn."
    )
    figures = _figures({row["classifier"]: row for row in table}, published)
    return Outcome(
        f"{name}: {counts}; 1 thread",
        figures,
        table,
        experiment.seed,
        [note, *said_beside("digits" if quick else "cifar10")],
    )


_WHY = (
    "the goal for speed leaves room for 27 million multiply-accumulates. After 20 rounds this encoder told apart 88.1 % of the "
    "validation images with its head (ten classes by class means: 89.9 %) and 86.8 % of the test images. It then learnt on, for 59 "
    "rounds in four stretches, judged by validation images: 89.0 % (90.3 %), and of the test images what stands here. The first stretch "
    "was learnt in another form of the same network, which took longer. The two teachers together tell 89.5 % (91.5 %) of the "
    "validation images, not far above. One of them alone, tuned on with larger and warped images to 88.0 % (90.7 %), taught by its "
    "answers to images and to warped copies, with orthogonal steps and nothing hidden; in 20 rounds that came to 87.0 % (88.8 %), less "
    "than the 88.1 % (89.9 %) above. A thousand validation images decide to a point, two thousand test images to 0.7. An encoder of "
    "29 million, taught by three networks that had seen nothing but CIFAR-10, told apart 88.45 % of the test images at 3.76 times the "
    "CNN's speed. Alone, encoders of 29 came to 85.4 to 86.6 % of the validation images. Fine-tuning for int8, which costs 0.2 points, "
    "tuning on cats and dogs alone, pruning from a wider network and pictures made of two images gained nothing; a stem of stride 2 "
    "lost three points in 5 epochs. The last stretch, which weighs the classes in doubt more (temperature 1.5 in the place of 4), made "
    "validation labels likelier than any before: a long stretch of that kind, and teachers tuned for longer, are next"
)
_WHY_SLOWER = (
    "from run to run the CNN takes 610 to 670 µs, which moves the ratio by a tenth; blocks of 32, 64 and 128 filters would be as much "
    "faster"
)


def _figures(found: Mapping[str, Mapping[str, Any]], published: Published) -> list[Figure]:
    learned, faster = found[LEARNED], "times as fast as the CNN"
    literal = max(found[name]["accuracy %"] for name in found if name not in (CNN, CNN_INT8, LEARNED, STAGED))
    theirs = f"{published.accuracy} % (ImageEm)"
    return [
        at_least(f"test accuracy, {LEARNED}", learned["accuracy %"], published.accuracy, "%", theirs, _WHY),
        at_least(
            "times as fast as the CNN's float32 form",
            learned[faster],
            published.faster,
            "",
            f"{published.faster} (ImageEm)",
            _WHY_SLOWER,
        ),
        Figure(f"test accuracy, {CNN}", found[CNN]["accuracy %"], "%", published=f"{published.cnn} % (ImageEm's CNN)"),
        Figure(f"test accuracy, {CNN_INT8}", found[CNN_INT8]["accuracy %"], "%"),
        Figure(f"times as fast, {CNN_INT8}", found[CNN_INT8][faster]),
        Figure(f"times as fast, {STAGED}", found[STAGED][faster]),
        Figure("test accuracy, the literal pipeline at its best", literal, "%", published=theirs),
    ]


def _rows(found: Sequence[Row], images: Images, runs: int) -> list[dict[str, Any]]:
    """Accuracy on the test images, and time for the first of them, over and over, of all bundles in turn."""
    from edge_sdk_runtime import Classifier

    classifiers = [Classifier(row.bundle, threads=1) for row in found]
    for classifier in classifiers:
        classifier.warm_up()
    times = median_ns([classifier.classify for classifier in classifiers], frames(images.test)[0], runs, _IN_A_ROW)
    return [
        {
            "classifier": row.name,
            "accuracy %": 100 * (row.bundle.manifest.measured.accuracy or 0.0),
            "p50 µs": time_ns / 1e3,
            "times as fast as the CNN": times[0] / time_ns,
            "parameters": row.bundle.manifest.measured.parameters,
            "bundle bytes": len(row.bundle.to_bytes()),
            "trained": row.trained,
        }
        for row, time_ns in zip(found, times, strict=True)
    ]
