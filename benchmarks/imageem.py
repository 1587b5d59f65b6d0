"""ImageEm on CIFAR-10, as both of its benchmarks need it: the literal pipeline, its rival, and the learned encoder.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020). Every row is a bundle that
the runtime classifies the test images with, once, after all choices were made on validation images; then all bundles run in
turn on the same frames, in one process with one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .harness import Figure, Outcome, at_least
from .in_turn import median_ns
from .strong_parts import tell
from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk.data import Prepared
    from edge_sdk.learn.prototypes import Prototypes
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples
    from edge_sdk_runtime import Bundle, PreprocessSpec

__all__ = ["Experiment", "Published", "outcome"]

_CNN, _CNN_INT8 = "vanilla CNN, float32", "vanilla CNN, int8"
_LEARNED = "learned encoder + prototypes + MLP, int8"
_FLATTENED = "flattened pixels + MLP, prototypes per class: {}"
_CODES = "autoencoder codes + MLP, prototypes per class: {}"


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


@dataclass(frozen=True)
class Experiment:
    """One of the paper's two experiments.

    Attributes:
        classes: Class indices of CIFAR-10, fixed before anything was trained.
        layouts: Of each class's autoencoder.
        autoencoder_epochs: Most passes of each over its class's images.
        cnn_epochs: Passes of the vanilla CNN.
        code_prototypes: Prototypes per class that autoencoder codes are compared with, one row each.
        pixel_prototypes: Likewise for flattened pixels.
        choices: Prototypes per class of the learned encoder, of which validation images choose.
        seed: Of everything random.
    """

    classes: tuple[int, ...]
    layouts: tuple[str, ...]
    autoencoder_epochs: int
    cnn_epochs: int
    code_prototypes: tuple[int, ...] = (1, 64)
    pixel_prototypes: tuple[int, ...] = (1, 64)
    choices: tuple[int, ...] = (1, 4, 16)
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The images of one experiment.

    Attributes:
        train: To learn from.
        validation: To choose by.
        test: `uint8 [N, H, W, C]` and class indices, looked at once.
        spec: Their native preprocessing.
        everything: All ten classes' training and validation images, for the learned encoder.
        classes: How many classes those are.
        quick: Whether only the code is tried.
    """

    train: Prepared
    validation: Prepared
    test: Prepared
    spec: PreprocessSpec
    everything: LearningData
    classes: int
    quick: bool


@dataclass(frozen=True)
class _Row:
    """One way to classify: a proven bundle, and what it is made of."""

    name: str
    bundle: Bundle
    trained: str


def outcome(experiment: Experiment, published: Published, name: str, *, quick: bool) -> Outcome:
    """Train what is not kept, measure every bundle on the test images, then time all in turn.

    Args:
        experiment: Which classes, and how everything is trained.
        published: What it is compared with.
        name: What to call the images.
        quick: Whether only the code is tried, on digits.
    """
    images = _task(experiment, quick=quick)
    table = _rows(_bundles(experiment, images), images, 20 if quick else 2000)
    counts = f"{len(images.train):,} training, {len(images.validation):,} validation, {len(images.test):,} test images"
    note = (
        "The learned encoder learnt from the training images of all ten classes and from what three other networks, which had learnt from "
        "the same, say of them; none saw a test image."
    )
    figures = _figures({row["classifier"]: row for row in table}, published)
    return Outcome(f"{name}: {counts}; 1 thread", figures, table, experiment.seed, [note])


_WHY = (
    "the goal for speed leaves room for 28 million multiply-accumulates; alone, such encoders told apart 85.4 % (a margin under Adam, "
    "64 epochs) and 86.6 % (smoothed labels under momentum, 48) of the validation images; taught by three networks, which come to "
    "87.5 % together, this one comes to 88 % in 32 passes, and its loss was still falling; next are teachers of 93 % on ten classes and "
    "three times the passes; tuning on cats and dogs alone gained nothing, and a stem of stride 2 lost three points in 5 epochs"
)


_WHY_SLOWER = (
    "the layout was chosen beside other small networks, where it took 0.95 of the time of the one before; in turn with networks of 10 MB, "
    "its 0.7 million weights come from the outer cache at every call and it takes 1.17 of it; the one before, of 0.4 million, came to 3.85 "
    "times, and is what the same teachers should teach next"
)


def _figures(found: Mapping[str, Mapping[str, Any]], published: Published) -> list[Figure]:
    learned, faster = found[_LEARNED], "times as fast as the CNN"
    literal = max(found[name]["accuracy %"] for name in found if name not in (_CNN, _CNN_INT8, _LEARNED))
    theirs = f"{published.accuracy} % (ImageEm)"
    return [
        at_least(f"test accuracy, {_LEARNED}", learned["accuracy %"], published.accuracy, "%", theirs, _WHY),
        at_least(
            "times as fast as the CNN's float32 form",
            learned[faster],
            published.faster,
            "",
            f"{published.faster} (ImageEm)",
            _WHY_SLOWER,
        ),
        Figure(
            f"test accuracy, {_CNN}", found[_CNN]["accuracy %"], "%", published=f"{published.cnn} % (ImageEm's CNN)"
        ),
        Figure(f"test accuracy, {_CNN_INT8}", found[_CNN_INT8]["accuracy %"], "%"),
        Figure(f"times as fast, {_CNN_INT8}", found[_CNN_INT8][faster]),
        Figure("test accuracy, the literal pipeline at its best", literal, "%", published=theirs),
    ]


def _task(experiment: Experiment, *, quick: bool) -> _Task:
    """Load the images; digits stand in where only the code is tried."""
    from edge_sdk.named_sets import NAMED_SETS

    from .sets import learning_set

    name = "digits" if quick else "cifar10"
    everything, test = learning_set(name, limit=20 if quick else None)
    chosen = partial(_of_classes, classes=experiment.classes, labels=NAMED_SETS[name].labels)
    return _Task(
        chosen(everything.train),
        chosen(everything.validation),
        chosen(test),
        NAMED_SETS[name].spec,
        everything,
        int(everything.train.y.max()) + 1,
        quick,
    )


def _bundles(experiment: Experiment, images: _Task) -> list[_Row]:
    """Train everything that is not kept from an earlier run, and put it into bundles; the rival comes first."""
    cnn = _vanilla(experiment, images)
    rows = [
        _row(_CNN, cnn, images, f"{experiment.cnn_epochs} epochs"),
        _row(_CNN_INT8, cnn, images, "the same network", int8=True),
        *_literal(experiment, images),
    ]
    return [*rows, _learned(experiment, images)]


def _rows(found: Sequence[_Row], images: _Task, runs: int) -> list[dict[str, Any]]:
    """Accuracy on the test images, and time for the first of them, over and over, of all bundles in turn."""
    from edge_sdk_runtime import Classifier

    classifiers = [Classifier(row.bundle, threads=1) for row in found]
    for classifier in classifiers:
        classifier.warm_up()
    times = median_ns([classifier.classify for classifier in classifiers], _frames(images.test)[0], runs)
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


def _of_classes(examples: Examples, classes: tuple[int, ...], labels: tuple[str, ...]) -> Prepared:
    """The images of some classes, numbered anew in the order given."""
    from edge_sdk.data import Prepared

    some = np.isin(examples.y, classes)
    targets = np.array([classes.index(int(label)) for label in examples.y[some]], np.int64)
    return Prepared(examples.x[some], targets, tuple(labels[index] for index in classes))


def _row(name: str, model: keras.Model, images: _Task, trained: str, *, int8: bool = False) -> _Row:
    """Export, quantize, measure on the test images, prove."""
    from edge_sdk_converters.graph import flatten
    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
    from edge_sdk_converters.writer import BundleRequest, HeldOut, build_bundle

    request = BundleRequest(
        name=name,
        labels=images.train.labels,
        preprocess=images.spec,
        model=flatten(model),
        quantize=QuantizeConfig(QuantizeMode.STATIC_INT8 if int8 else QuantizeMode.FLOAT32),
        calibration=images.train.x,
        held_out=HeldOut(_frames(images.test), images.test.y, "test images"),
    )
    return _Row(name, build_bundle(request), trained)


def _frames(prepared: Prepared) -> list[NDArray[np.uint8]]:
    """Images as a camera gives them, BGR."""
    return list(np.broadcast_to(prepared.x[..., ::-1], (*prepared.x.shape[:3], 3)))


def _vanilla(experiment: Experiment, images: _Task) -> keras.Model:
    """Conv 3×3 32, 32, max pool, 64, 64, max pool, dense 512, scores; ReLU; dropout behind each pooling and the dense layer."""
    widths = (4, 4, 8) if images.quick else (32, 64, 512)
    settings = {
        "widths": widths,
        "classes": experiment.classes,
        "epochs": experiment.cnn_epochs,
        "seed": experiment.seed,
    }
    return _kept("imageem-cnn", settings, images, partial(_train_vanilla, experiment, images, widths))


def _train_vanilla(experiment: Experiment, images: _Task, widths: tuple[int, int, int]) -> keras.Model:
    import keras
    from keras import layers

    from edge_sdk_converters.training import FitConfig, fit

    keras.utils.set_random_seed(experiment.seed)
    image = keras.Input(images.spec.shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    for filters in widths[:2]:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Dropout(0.25, seed=experiment.seed)(layers.MaxPooling2D()(x))
    x = layers.Dense(widths[2], activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(0.5, seed=experiment.seed)(x)
    scores = layers.Dense(len(experiment.classes), activation="softmax")(x)
    model = keras.Model(image, scores, name="vanilla_cnn")
    if images.quick:
        return model
    config = FitConfig(experiment.cnn_epochs, 1e-3, 64, seed=experiment.seed)
    parts = (_examples(images.train), _examples(images.validation))
    fit(model, *parts, config, augment=images.everything.augment, progress=tell("vanilla CNN"))
    return model


def _literal(experiment: Experiment, images: _Task) -> list[_Row]:
    """The paper's pipeline: pixels or codes, similarity to stored vectors of each class, an MLP."""
    from edge_sdk.learn.code_encoder import code_encoder, code_prototypes
    from edge_sdk.learn.encoder import flattened_encoder
    from edge_sdk.learn.staging import Embedded
    from edge_sdk_runtime import Similarity

    pixels = flattened_encoder(images.spec)
    encoders = [_autoencoder(experiment, images, label) for label in range(len(experiment.classes))]
    embedded = Embedded(pixels, images.train)
    found = []
    for count in experiment.pixel_prototypes:
        prototypes = embedded.prototypes(count, experiment.seed, Similarity.COSINE)
        found.append(_row(_FLATTENED.format(count), _staged(pixels, prototypes, images), images, "prototypes and MLP"))
    for count in experiment.code_prototypes:
        prototypes = code_prototypes(encoders, images.train, count, experiment.seed)
        model = _staged(code_encoder(encoders), prototypes, images)
        trained = f"at most {experiment.autoencoder_epochs} epochs a class"
        found.append(_row(_CODES.format(count), model, images, trained))
    return found


def _autoencoder(experiment: Experiment, images: _Task, label: int) -> keras.Model:
    """The encoder of one class's autoencoder; quickly, one that has learnt nothing."""
    from edge_sdk.learn.autoencoder import AutoencoderConfig, build_autoencoder, train_autoencoder
    from edge_sdk.learn.autoencoder_layouts import PUBLISHED, layout_for

    if images.quick:
        return build_autoencoder(images.spec, layout_for(images.spec, 8, 4), f"class{label}")[0]
    name = experiment.layouts[label]
    config = AutoencoderConfig(PUBLISHED[name], experiment.autoencoder_epochs, seed=experiment.seed)
    settings = {**asdict(config), "class": experiment.classes[label], "images": len(images.train)}
    own, held_out = (part.x[part.y == label] for part in (images.train, images.validation))

    def train() -> keras.Model:
        progress = tell(f"autoencoder of {images.train.labels[label]}")
        return train_autoencoder(own, config, validation=held_out, name=f"class{label}", progress=progress).encoder

    return kept("imageem-autoencoder", settings, train)


def _learned(experiment: Experiment, images: _Task) -> _Row:
    """The encoder that learnt from all ten classes; validation images choose how many prototypes it is compared with."""
    from edge_sdk.learn.encoder import build_encoder
    from edge_sdk.learn.staging import Embedded
    from edge_sdk_converters.source import accuracy
    from edge_sdk_runtime import Similarity

    from .strong_encoder import strong_encoder

    small = build_encoder(images.spec, embedding=8, width=4) if images.quick else None
    encoder = small or strong_encoder(images.everything, images.classes)
    held_out, embedded, found = _examples(images.validation), Embedded(encoder, images.train), []
    for count in experiment.choices:
        model = _staged(encoder, embedded.prototypes(count, experiment.seed, Similarity.COSINE), images)
        found.append((accuracy(model, held_out), f"on all classes; prototypes per class: {count}", model))
        sys.stderr.write(f"{found[-1][1]}: {found[-1][0]:.4f} of the validation images\n")
    _, trained, model = max(found, key=lambda each: each[0])
    return _row(_LEARNED, model, images, trained, int8=True)


def _staged(encoder: keras.Model, prototypes: Prototypes, images: _Task) -> keras.Model:
    from edge_sdk.learn.staging import Embedded, staged_classifier
    from edge_sdk_runtime import Similarity

    train, validation = (Embedded(encoder, part) for part in (images.train, images.validation))
    return staged_classifier(train, validation, prototypes, Similarity.COSINE)


def _kept(name: str, settings: Mapping[str, Any], images: _Task, train: Callable[[], keras.Model]) -> keras.Model:
    return train() if images.quick else kept(name, {**settings, "images": len(images.train)}, train)


def _examples(prepared: Prepared) -> Examples:
    from edge_sdk.learn.train import examples

    return examples(prepared)
