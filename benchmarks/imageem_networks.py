"""The networks of the ImageEm benchmarks, in proven bundles: the literal pipeline, its rival, and the learned encoder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

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

__all__ = ["CNN", "CNN_INT8", "LEARNED", "STAGED", "Experiment", "Images", "Row", "bundles", "frames", "images_of"]

CNN, CNN_INT8 = "vanilla CNN, float32", "vanilla CNN, int8"
LEARNED = "learned encoder + prototypes + MLP, int8"
STAGED = f"{LEARNED}, stage by stage"
_FLATTENED = "flattened pixels + MLP, prototypes per class: {}"
_CODES = "autoencoder codes + MLP, prototypes per class: {}"


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
class Images:
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
class Row:
    """One way to classify: a proven bundle, and what it is made of."""

    name: str
    bundle: Bundle
    trained: str


def images_of(experiment: Experiment, *, quick: bool) -> Images:
    """Load the images; digits stand in where only the code is tried."""
    from edge_sdk.named_sets import NAMED_SETS

    from .sets import learning_set

    name = "digits" if quick else "cifar10"
    everything, test = learning_set(name, limit=20 if quick else None)
    chosen = partial(_of_classes, classes=experiment.classes, labels=NAMED_SETS[name].labels)
    return Images(
        chosen(everything.train),
        chosen(everything.validation),
        chosen(test),
        NAMED_SETS[name].spec,
        everything,
        int(everything.train.y.max()) + 1,
        quick,
    )


def bundles(experiment: Experiment, images: Images) -> list[Row]:
    """Train everything that is not kept from an earlier run, and put it into bundles; the rival comes first."""
    cnn = _vanilla(experiment, images)
    rows = [
        _row(CNN, cnn, images, f"{experiment.cnn_epochs} epochs"),
        _row(CNN_INT8, cnn, images, "the same network", int8=True),
        *_literal(experiment, images),
    ]
    return [*rows, *_learned(experiment, images)]


def frames(prepared: Prepared) -> list[NDArray[np.uint8]]:
    """Images as a camera gives them, BGR."""
    return list(np.broadcast_to(prepared.x[..., ::-1], (*prepared.x.shape[:3], 3)))


def _of_classes(examples: Examples, classes: tuple[int, ...], labels: tuple[str, ...]) -> Prepared:
    """The images of some classes, numbered anew in the order given."""
    from edge_sdk.data import Prepared

    some = np.isin(examples.y, classes)
    targets = np.array([classes.index(int(label)) for label in examples.y[some]], np.int64)
    return Prepared(examples.x[some], targets, tuple(labels[index] for index in classes))


def _row(
    name: str, model: keras.Model, images: Images, trained: str, *, int8: bool = False, forms: tuple[str, ...] = ()
) -> Row:
    """Export, quantize, measure on the test images, prove; in the form that suits the model unless one is named."""
    from edge_sdk_converters.graph import flatten
    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
    from edge_sdk_converters.request import BundleRequest, HeldOut
    from edge_sdk_converters.writer import build_bundle

    request = BundleRequest(
        name=name,
        labels=images.train.labels,
        preprocess=images.spec,
        model=flatten(model),
        quantize=QuantizeConfig(QuantizeMode.STATIC_INT8 if int8 else QuantizeMode.FLOAT32),
        calibration=images.train.x,
        held_out=HeldOut(frames(images.test), images.test.y, "test images"),
        forms=forms,
    )
    return Row(name, build_bundle(request), trained)


def _vanilla(experiment: Experiment, images: Images) -> keras.Model:
    """Conv 3×3 32, 32, max pool, 64, 64, max pool, dense 512, scores; ReLU; dropout behind each pooling and the dense layer."""
    widths = (4, 4, 8) if images.quick else (32, 64, 512)
    settings = {
        "widths": widths,
        "classes": experiment.classes,
        "epochs": experiment.cnn_epochs,
        "seed": experiment.seed,
    }
    return _kept("imageem-cnn", settings, images, partial(_train_vanilla, experiment, images, widths))


def _train_vanilla(experiment: Experiment, images: Images, widths: tuple[int, int, int]) -> keras.Model:
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


def _literal(experiment: Experiment, images: Images) -> list[Row]:
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


def _autoencoder(experiment: Experiment, images: Images, label: int) -> keras.Model:
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


def _learned(experiment: Experiment, images: Images) -> list[Row]:
    """The encoder that learnt from all ten classes; validation images choose how many prototypes it is compared with.

    In one graph, which is the form for the lowest latency and that of the rival; and stage by stage, which can be taught.
    """
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
    return [
        _row(LEARNED, model, images, trained, int8=True, forms=("fused",)),
        _row(STAGED, model, images, "the same network", int8=True),
    ]


def _staged(encoder: keras.Model, prototypes: Prototypes, images: Images) -> keras.Model:
    from edge_sdk.learn.staging import Embedded, staged_classifier
    from edge_sdk_runtime import Similarity

    train, validation = (Embedded(encoder, part) for part in (images.train, images.validation))
    return staged_classifier(train, validation, prototypes, Similarity.COSINE)


def _kept(name: str, settings: Mapping[str, Any], images: Images, train: Callable[[], keras.Model]) -> keras.Model:
    return train() if images.quick else kept(name, {**settings, "images": len(images.train)}, train)


def _examples(prepared: Prepared) -> Examples:
    from edge_sdk.learn.train import examples

    return examples(prepared)
