"""The trainings behind the table of sample selection, one cell at a time; finished cells are kept between runs.

The classifier is the AlexNet-like one of "Faster Training by Selecting Samples Using Embeddings" in a size that a processor trains
in minutes: 5×5 convolutions of 32 and 64 filters with batch normalisation, each followed by 3×3 max pooling with stride 2, dense
192, dense 10; random 24×24 pieces, mirrored, with changed brightness and contrast, each brought to mean 0 and variance 1; stochastic
gradient descent with momentum, L2 weight decay of 0.004 on the dense layers. Steps and batches are fewer than published (1,200 of 128
instead of 10,000 of 1,024), alike for all rows. The last weights are tested; nothing is chosen in between. Passes are computed in
bfloat16, which takes three quarters of the time; weights, normalisation of the image and scores are float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .trained import kept, kept_array, kept_row
from .vgg import build_vgg, trained_vgg

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk.learn.selection import SelectionConfig
    from edge_sdk.learn.two_phase import History, Look, TwoPhase
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

__all__ = ["Basis", "Cell", "Choice", "Setting", "build_alexnet", "choose", "run_cell"]

CODE = "2"
"""Changes whenever a change of this file may change an accuracy: kept cells of another version are not used."""

AUTOENCODER, CLASSIFIER, SCORES, COURSE, NONE = "autoencoder", "classifier", "scores", "course", "none"
Basis = str
"""What samples are chosen by: codes of the autoencoder, the last hidden layer of a trained classifier, its scores, the mean scores in
the course of one training of the network itself on all samples, or nothing."""

_SIDE = 24
_VGG_EPOCHS = 16
_MOMENTS, _COURSE_SEED = 10, 100


@dataclass(frozen=True)
class Setting:
    """What all rows have in common.

    Attributes:
        count: Samples to choose.
        steps: Of every training.
        batch_size: Samples per step.
        learning_rate: Of momentum SGD, at the start.
        decay: L2 weight decay of the dense layers.
        filters: Of the two convolutions.
        dense: Units of the hidden layer.
        autoencoder_steps: Of the autoencoder's training.
        data: Name of the image set, of ten classes; its images are brought to 32×32 in colour, as those of CIFAR-10 are.
        held_out: Whether the validation images are tested on and none of them is chosen, instead of the test images.
        limit: The most images of each class, None for all.
    """

    count: int = 4320
    steps: int = 1200
    batch_size: int = 128
    learning_rate: float = 0.1
    decay: float = 0.004
    filters: tuple[int, int] = (32, 64)
    dense: int = 192
    autoencoder_steps: int = 1500
    data: str = "cifar10"
    held_out: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Choice:
    """How samples are chosen.

    Attributes:
        strategy: Name of a strategy; "" takes all samples.
        balanced: Whether every class gives as many.
        basis: What they are chosen by.
        discard: Share of the hardest that the margin leaves out.
        strata: Into how many the margin cuts the rest.
    """

    strategy: str
    balanced: bool = False
    basis: Basis = NONE
    discard: float = 0.0
    strata: int = 1


@dataclass(frozen=True)
class Cell:
    """One training: everything that decides its accuracy.

    Attributes:
        setting: Common to all.
        choice: The subset.
        seed: Of selection, weights, order and augmentation.
        first_share: Share of the steps that the subset gets; the rest is for all samples.
        seconds: Wall time in the place of steps; None for steps.
    """

    setting: Setting
    choice: Choice
    seed: int
    first_share: float = 1.0
    seconds: float | None = None


def run_cell(cell: Cell, *, keep: bool = True) -> dict[str, Any]:
    """Choose, train and test once.

    Args:
        cell: What.
        keep: Whether to look for it in the cache, and to leave it there.

    Returns:
        `accuracy` 0 to 1, `steps`, `seconds` by the clock, `processor_s`, and `classes`, the fewest and most chosen of a class.
    """
    if not keep:
        return _measured(cell)
    return kept_row("selection", {"code": CODE, **asdict(cell)}, lambda: _measured(cell))


def choose(setting: Setting, choice: Choice, seed: int) -> NDArray[np.int64]:
    """Indices of the chosen samples among those to choose from."""
    from edge_sdk.learn.selection import select

    pool, _ = _images(setting)
    if not choice.strategy:
        return np.arange(len(pool.y))
    config = _config(setting, choice, seed)
    return select(_vectors(setting, choice.basis), config, pool.y)


def build_alexnet(setting: Setting, seed: int) -> keras.Model:
    """The classifier, untrained: `uint8 [batch, 24, 24, 3]` → logits."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    decay, half = keras.regularizers.L2(setting.decay / 2), "mixed_bfloat16"
    image = keras.Input((_SIDE, _SIDE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-6)(x)
    for filters in setting.filters:
        x = layers.Conv2D(filters, 5, padding="same", use_bias=False, dtype=half)(x)
        x = layers.ReLU(dtype=half)(layers.BatchNormalization(momentum=0.9, dtype=half)(x))
        x = layers.MaxPooling2D(3, 2, padding="same", dtype=half)(x)
    x = layers.Flatten(dtype=half)(x)
    x = layers.Dense(setting.dense, activation="relu", kernel_regularizer=decay, dtype=half)(x)
    return keras.Model(image, layers.Dense(10, kernel_regularizer=decay)(x))


def _measured(cell: Cell) -> dict[str, Any]:
    from edge_sdk.learn.crops import centre_crops
    from edge_sdk.learn.two_phase import TwoPhase
    from edge_sdk_converters.training import predict

    setting = cell.setting
    pool, held_out = _images(setting)
    chosen = choose(setting, cell.choice, cell.seed)
    model = build_alexnet(setting, cell.seed)
    duration = {"seconds": cell.seconds} if cell.seconds else {"steps": setting.steps}
    plan = TwoPhase(**duration, first_share=cell.first_share, batch_size=setting.batch_size, seed=cell.seed)
    worked = time.process_time()
    history = _train(model, pool, chosen, setting, plan)
    worked = time.process_time() - worked
    accuracy = float((predict(model, centre_crops(held_out.x, _SIDE)).argmax(axis=1) == held_out.y).mean())
    counts = np.bincount(pool.y[chosen], minlength=10)
    _tell(cell, accuracy)
    return {
        "accuracy": accuracy,
        "steps": history.first_steps + history.second_steps,
        "seconds": history.seconds,
        "processor_s": worked,
        "classes": [int(counts.min()), int(counts.max())],
    }


def _train(
    model: keras.Model,
    pool: Examples,
    chosen: NDArray[np.int64],
    setting: Setting,
    plan: TwoPhase,
    progress: Callable[[Look], None] | None = None,
) -> History:
    import keras

    from edge_sdk.learn.two_phase import two_phase

    return two_phase(
        model,
        pool,
        chosen,
        plan,
        optimizer=keras.optimizers.SGD(setting.learning_rate, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        augment=_changed,
        progress=progress,
    )


def _changed(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random pieces, mirrored, lighter or darker, with more or less contrast."""
    from edge_sdk.learn.augment import Augmentation, augment
    from edge_sdk.learn.crops import random_crops

    lighting = Augmentation(shift=0, flip=False, brightness=0.2, contrast=0.3)
    return augment(random_crops(x, _SIDE, rng), lighting, rng)


def _config(setting: Setting, choice: Choice, seed: int) -> SelectionConfig:
    from edge_sdk.learn.selection import SelectionConfig, Strategy

    return SelectionConfig(
        Strategy(choice.strategy),
        setting.count,
        classes=10 if choice.balanced else None,
        seed=seed,
        discard=choice.discard,
        strata=choice.strata,
    )


@lru_cache(maxsize=2)
def _images(setting: Setting) -> tuple[Examples, Examples]:
    """Samples to choose from, and those to test on; what the SDK holds back for validation is chosen from too at the end."""
    from edge_sdk_converters.training import Examples

    data, test = _sets(setting.data, setting.limit)
    if setting.held_out:
        return data.train, data.validation
    x = np.concatenate([data.train.x, data.validation.x])
    return Examples(x, np.concatenate([data.train.y, data.validation.y])), test


@lru_cache(maxsize=1)
def _sets(name: str, limit: int | None) -> tuple[LearningData, Examples]:
    """Training and validation images, and the test images apart."""
    from edge_sdk.data import load_images, prepare
    from edge_sdk.learn.train import augmentation_for, examples
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_runtime import PreprocessSpec

    splits = load_images(name, limit=limit)
    train, validation, test = (
        examples(prepare(part, PreprocessSpec(32, 32))) for part in (splits.train, splits.validation, splits.test)
    )
    return LearningData(train, validation, augmentation_for(splits.flips)), test


@lru_cache(maxsize=4)
def _vectors(setting: Setting, basis: Basis) -> NDArray[np.float32]:
    """What samples are chosen by, `float32 [N, D]`, for the samples to choose from."""
    from edge_sdk_converters.training import predict

    pool, _ = _images(setting)
    if basis == NONE:
        return np.zeros((len(pool.y), 1), np.float32)
    if basis == AUTOENCODER:
        return predict(_autoencoder(setting), pool.x)
    if basis == COURSE:
        return _course(setting)
    vgg = _vgg(setting)
    if basis == CLASSIFIER:
        import keras

        hidden = predict(keras.Model(vgg.inputs[0], vgg.layers[-3].output), pool.x)
        return hidden / np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-12)
    return np.log(np.maximum(predict(vgg, pool.x), 1e-30))


def _course(setting: Setting) -> NDArray[np.float32]:
    """Log-probabilities `[N, 10]` of the samples to choose from, averaged over ten moments of a training on all of them.

    Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking" (NeurIPS 2020), for the averaging: at the end of
    a training nearly all samples are clear.
    """
    import keras

    from edge_sdk.learn.crops import centre_crops
    from edge_sdk.learn.two_phase import TwoPhase
    from edge_sdk_converters.training import predict

    pool, _ = _images(setting)
    pieces = centre_crops(pool.x, _SIDE)
    model = build_alexnet(setting, _COURSE_SEED)
    moments: list[NDArray[np.float32]] = []

    def look(_: object) -> None:
        moments.append(np.asarray(keras.ops.log_softmax(predict(model, pieces)), np.float32))

    def train() -> NDArray[np.float32]:
        plan = TwoPhase(
            setting.steps, first_share=0, batch_size=setting.batch_size, look_every=-(-setting.steps // _MOMENTS)
        )
        _train(model, pool, np.arange(len(pool.y)), setting, plan, progress=look)
        return np.mean(moments, axis=0)

    if setting.limit:
        return train()
    return kept_array("selection-course", {"code": CODE, **asdict(setting)}, train)


def _autoencoder(setting: Setting) -> keras.Model:
    """The encoder of the autoencoder, trained without labels on all samples to choose from."""
    from edge_sdk.learn.embedding_autoencoder import EmbeddingAutoencoderConfig, train_embedding_autoencoder

    pool, _ = _images(setting)
    config = EmbeddingAutoencoderConfig(steps=setting.autoencoder_steps)

    def train() -> keras.Model:
        return train_embedding_autoencoder(pool.x, config).encoder

    if setting.limit:
        return train()
    settings = {"code": CODE, "held_out": setting.held_out, **asdict(config)}
    return kept("selection-autoencoder", settings, train)


def _vgg(setting: Setting) -> keras.Model:
    """A classifier that knows the labels of the training images; the validation images chose its weights. Untrained where limited."""
    if setting.limit is not None:
        return build_vgg((32, 32, 3), 10, (4, 4, 4))
    data, _ = _sets(setting.data, setting.limit)
    return trained_vgg(data, 10, _VGG_EPOCHS)


def _tell(cell: Cell, accuracy: float) -> None:
    choice = cell.choice
    name = f"{choice.strategy or 'all'}{', balanced' * choice.balanced}, by {choice.basis}, seed {cell.seed}"
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}, {cell.first_share:.0%} first: {accuracy:.2%}\n")
