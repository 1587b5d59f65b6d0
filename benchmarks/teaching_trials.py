"""Trials of how classes are taught and unknown images told: any choice of settings, measured in one situation.

Everything is done by the SDK's own functions on embeddings of the int8 encoder. The embeddings are computed once for every width
and weight of detail, a head is trained once for every choice that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .teaching_encoder import encoder_for
from .teaching_situations import Situation
from .trained import kept_array

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_runtime import MlpHead
    from edge_sdk_runtime.memory import FeatureMemory
    from edge_sdk_runtime.teach.knowledge import Knowledge
    from edge_sdk_runtime.unknown import ClassDistances

    Array = NDArray[np.float32]

__all__ = ["Choice", "Shares", "Trials"]

_IMAGES = 20
_PER_CLASS = 40
"""Remembered of every class, as `RememberConfig` has it."""
_FLAGGED = 0.035
"""Share of validation images that the thresholds leave out, likewise: what a bundle promises, and no setting to choose."""


class Choice(NamedTuple):
    """One value of each setting.

    Attributes:
        width: Of the detail beside the embedding; 0 for none.
        weight: Its length, as a share of the embedding's.
        equal: Part of the scatter that is taken to be equal in all directions.
        distances: Of embeddings "as they are", at "length 1", or "both".
        thresholds: "one" for all classes, or "per class".
        weight_decay: Of the head's training.
        units: Hidden units that a taught class brings with it.
        steps: Steps of their training.
        rate: Its learning rate.
        decay: Its weight decay.
        stress: Weight of a taught class's example.
        known: Share of a taught class's held-out examples that are to be known.
    """

    width: int
    weight: float
    equal: float
    distances: str
    thresholds: str
    weight_decay: float
    units: int
    steps: int
    rate: float
    decay: float
    stress: float
    known: float


class Shares(NamedTuple):
    """Shares of images, 0 to 1, nothing having learnt from any of them; means over what was drawn.

    Attributes:
        known_flagged: Of known classes, flagged unknown before anything is taught.
        worst_flagged: Of the known class of which most are.
        new_flagged: Of the stand-ins, likewise.
        far_flagged: Of other things, likewise.
        known_before: Of known classes, classified rightly before.
        known_after: Afterwards.
        taught: Of the stand-ins, classified rightly afterwards.
        right: Of all classes, classified rightly afterwards, every class counting the same.
        taught_flagged: Of the stand-ins, flagged unknown afterwards.
        far_flagged_after: Of other things, likewise.
    """

    known_flagged: float
    worst_flagged: float
    new_flagged: float
    far_flagged: float
    known_before: float
    known_after: float
    taught: float
    right: float
    taught_flagged: float
    far_flagged_after: float


class _Views(NamedTuple):
    """Embeddings by the int8 encoder, `float32 [N, D]` each, and what the workstation makes of its float form."""

    remembered: Array
    validation: Array
    measured: Array
    shown: Array
    met: Array
    far: Array
    train: Array
    held_out: Array


class Trials:
    """One situation, in which choices are tried.

    Args:
        situation: The images.
        draws: How often the taught images are drawn.
        widest: Detail that will be asked for, at most.
        quick: An encoder of one epoch, and nothing kept.
    """

    def __init__(self, situation: Situation, draws: int, widest: int, *, quick: bool) -> None:
        self._of, self._draws, self._widest, self._quick = situation, draws, widest, quick
        self._encoder = cache(self._make_encoder)
        self._views = cache(self._make_views)
        self._head = cache(self._make_head)

    def shares(self, choice: Choice) -> Shares:
        """Try one choice."""
        from edge_sdk_runtime.unknown import ClassDistances

        views = self._views(choice.width, choice.weight)
        knowledge = self._knowledge(choice)
        distances = ClassDistances(knowledge.memory, choice.equal)
        known, new, far = (
            _told(distances, choice, self._of.validation.y, views.validation, each)
            for each in (views.measured, views.met, views.far)
        )
        worst = max(known[self._of.measured.y == label].mean() for label in range(len(self._of.known)))
        flagged = [float(each) for each in (known.mean(), worst, new.mean(), far.mean())]
        before = float((knowledge.predictions(views.measured) == self._of.measured.y).mean())
        after = [self._taught(knowledge, views, choice, seed) for seed in range(self._draws)]
        means = [float(each) for each in np.mean(after, axis=0)]
        return Shares(*[*flagged, before, *means])

    def scatter(self, choice: Choice) -> float:
        """Mean scatter within the remembered classes, as a share of the embeddings' mean square."""
        from edge_sdk_runtime.scatter import class_means

        memory = self._memory(choice)
        means = class_means(memory.embeddings, memory.labels, len(self._of.known))
        residuals = memory.embeddings - means[memory.labels]
        return float((residuals**2).mean() / (memory.embeddings**2).mean())

    def _taught(self, knowledge: Knowledge, views: _Views, choice: Choice, seed: int) -> list[float]:
        """Accuracy on known classes, on the stand-ins and on both, share of stand-ins and of other things that is flagged."""
        from edge_sdk_runtime.teach.calibration import calibrated
        from edge_sdk_runtime.teach.examples import Examples
        from edge_sdk_runtime.teach.learning import taught
        from edge_sdk_runtime.teach.settings import SETTINGS
        from edge_sdk_runtime.unknown import ClassDistances

        settings = SETTINGS._replace(
            **{name: getattr(choice, name) for name in ("units", "steps", "rate", "decay", "stress", "known", "equal")}
        )
        labels = np.unique(self._of.shown.y)
        drawn = [
            np.random.default_rng((seed, int(label))).permutation(np.flatnonzero(self._of.shown.y == label))[:_IMAGES]
            for label in labels
        ]
        shown = {f"new {i}": Examples(views.shown[rows], len(rows), 0, 0, 0) for i, rows in enumerate(drawn)}
        learnt = taught(knowledge, shown, 1, seed, settings)
        learnt = calibrated(knowledge, learnt.remembering(seed), shown, settings)
        distances = ClassDistances(learnt.memory, choice.equal)
        thresholds = np.array(learnt.thresholds)
        old, new = (
            learnt.predictions(each) == of.y
            for each, of in ((views.measured, self._of.measured), (views.met, self._of.met))
        )
        flagged = [((distances(each) / thresholds).min(axis=1) > 1).mean() for each in (views.met, views.far)]
        both = np.concatenate((old, new))  # as many of every class
        return [float(share) for share in (old.mean(), new.mean(), both.mean(), *flagged)]

    def _memory(self, choice: Choice) -> FeatureMemory:
        from edge_sdk_runtime.memory import FeatureMemory

        views = self._views(choice.width, choice.weight)
        return FeatureMemory.rounded(views.remembered, self._of.train.y[self._remembered()])

    def _remembered(self) -> NDArray[np.int64]:
        from edge_sdk_runtime.memory import balanced_sample

        return balanced_sample(self._of.train.y, _PER_CLASS)

    def _knowledge(self, choice: Choice) -> Knowledge:
        from edge_sdk_runtime import Similarity
        from edge_sdk_runtime.teach.knowledge import Knowledge
        from edge_sdk_runtime.unknown import ClassDistances

        memory, views = self._memory(choice), self._views(choice.width, choice.weight)
        distances = ClassDistances(memory, choice.equal)(views.validation)
        thresholds = _thresholds(distances, choice, self._of.validation.y)
        prototypes, head = self._head(choice.width, choice.weight, choice.weight_decay)
        classes = tuple(range(len(self._of.known)))
        labels = self._of.train.labels
        return Knowledge(labels, memory, prototypes, classes, Similarity.COSINE, head, thresholds)

    def _make_head(self, width: int, weight: float, weight_decay: float) -> tuple[Array, MlpHead]:
        """Prototypes and head as `edge-sdk train` makes them: of float embeddings, by all training images."""
        from edge_sdk.learn.prototypes import build_prototypes
        from edge_sdk_runtime import Similarity, similarity_features
        from edge_sdk_runtime.mlp_training import MlpTraining, train_mlp

        views, images = self._views(width, weight), self._of
        prototypes = build_prototypes(views.train, images.train.y, 1, 0, Similarity.COSINE).vectors
        train, held_out = (
            similarity_features(each, prototypes, Similarity.COSINE) for each in (views.train, views.held_out)
        )
        config = MlpTraining(batch=128, weight_decay=weight_decay)
        classes = len(images.known)
        head = train_mlp(train, images.train.y, classes, config, validation=(held_out, images.validation.y))
        return prototypes, head

    def _make_encoder(self) -> keras.Model:
        images = self._of
        return encoder_for(
            images.train,
            images.validation,
            images.splits,
            images.known,
            quick=self._quick,
            held_out=images.held_out,
        )

    def _make_views(self, width: int, weight: float) -> _Views:
        of = self._of
        parts = [of.train.x[self._remembered()], *(each.x for each in (of.validation, of.measured, of.shown, of.met))]
        parts.append(of.far)
        encoder = self._detailed(width, weight)
        rows = self._kept("int8", [width, weight], lambda: _by_int8(encoder, of.train.x[:1000], np.concatenate(parts)))
        coded = np.split(rows, np.cumsum([len(part) for part in parts])[:-1])
        return _Views(*coded, *np.split(self._floats(encoder, width), [len(of.train)]))

    def _detailed(self, width: int, weight: float) -> keras.Model:
        from edge_sdk.learn.detail import with_detail

        plain = self._encoder()
        return with_detail(plain, self._of.train.x, width=width, weight=weight) if width else plain

    def _floats(self, encoder: keras.Model, width: int) -> Array:
        """Embeddings of training and validation images by a float encoder, out of those by the widest one.

        Less detail is the first components of more, and another weight multiplies them all.
        """
        from edge_sdk_converters.training import predict

        widest = self._detailed(self._widest, 1.0)
        images = np.concatenate((self._of.train.x, self._of.validation.x))
        rows = self._kept("float", [self._widest], lambda: predict(widest, images))
        plain = rows.shape[1] - self._widest
        if not width:
            return rows[:, :plain]
        scale, most = (np.linalg.norm(each.get_layer("detail").get_weights()[0][:, 0]) for each in (encoder, widest))
        return np.concatenate((rows[:, :plain], rows[:, plain : plain + width] * np.float32(scale / most)), axis=1)

    def _kept(self, form: str, settings: list[float], make: Callable[[], Array]) -> Array:
        if self._quick:
            return make()
        of = self._of
        decided = {"known": of.known, "held out": of.held_out, "far": len(of.far), "settings": settings}
        return kept_array(f"teaching-{form}", decided, make)


def _by_int8(encoder: keras.Model, calibration: NDArray[np.uint8], images: NDArray[np.uint8]) -> Array:
    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
    from edge_sdk_converters.tflite import export_tflite
    from edge_sdk_runtime.interpreters import choose_interpreter

    config = QuantizeConfig(QuantizeMode.STATIC_INT8)
    model = choose_interpreter().load(quantize(export_tflite(encoder), config, calibration), 1)
    rows = np.empty((len(images), model.output.shape[1]), np.float32)
    for row, image in zip(rows, images, strict=True):
        model.input_view()[0] = image
        model.invoke()
        row[...] = model.output_view()[0]
    model.close()
    return rows


def _told(
    distances: ClassDistances, choice: Choice, targets: NDArray[np.int64], validation: Array, images: Array
) -> NDArray[np.bool_]:
    """Which images are flagged by thresholds that are set on validation images."""
    ours, theirs = (_distances(distances, each, choice.distances) for each in (validation, images))
    flagged: NDArray[np.bool_] = (theirs / np.array(_thresholds(ours, choice, targets))).min(axis=1) > 1
    return flagged


def _thresholds(distances: NDArray[np.floating], choice: Choice, targets: NDArray[np.int64]) -> tuple[float, ...]:
    """Of every class, by distances of validation images `[N, classes]`."""
    from edge_sdk_converters.remember import unknown_rule

    return unknown_rule(distances, _FLAGGED, targets if choice.thresholds == "per class" else None).thresholds


def _distances(distances: ClassDistances, embeddings: Array, of: str) -> NDArray[np.float64]:
    """Distances to every class, by both forms of an embedding or by one of them."""
    width = embeddings.shape[1]
    part = {"as they are": slice(width), "length 1": slice(width, None), "both": slice(None)}[of]
    places = distances.placed(embeddings)[:, part]
    return np.stack([np.linalg.norm(places - mean[part], axis=1) for mean in distances.means], axis=1)
