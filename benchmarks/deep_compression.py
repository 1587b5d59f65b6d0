"""Deep Compression's table on MNIST: LeNet-300-100 and LeNet-5 pruned, their weights shared, and the file entropy-coded.

Han, Mao, Dally, "Deep Compression" (arXiv 1510.00149). Both descend from a trained network of the published layout. Channels go
first (`prune`), then single weights along a cubic schedule (`sparsify`), then what is left shares a few values (`cluster`) that are
fine-tuned by their summed gradients; every pass is followed by distillation on the training images and moved copies of them.
LeNet-300-100 is taught by LeNet-5, LeNet-5 by itself before it was pruned.

The size is that of the whole packed file: graph, codebooks, positions, biases, checksum. It rebuilds a .tflite file byte for byte, and
it is that file whose error is stated, run on the interpreter. All choices were made on 6,000 validation images; the 10,000
test images are looked at once, at the end.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .harness import Figure, Outcome, at_least, at_most, command
from .lenets import shifted, tell, trained_lenet_5, trained_lenet_300_100
from .sets import learning_set
from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.pack import Packed
    from edge_sdk_converters.training import Examples

_BASE_EPOCHS = 16
_COPIES = 4
"""Moved copies of every training image; an epoch below shows all of them."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """How one network is compressed, and what for.

    Attributes:
        name: What it is called.
        ratio: Least compression to reach.
        error: Most test error to reach, in percent.
        published: Others' ratios, and their error.
        channels: Share of the weights that removing channels leaves.
        sparsity: Share of those that become zero.
        whole: Layers that keep all of their weights.
        bits: Of an index, by layer; biases have three.
        epochs: After channels have gone, while weights go, and while shared values learn.
        batch_size: Images per step.
    """

    name: str
    ratio: float
    error: float
    published: tuple[str, str]
    channels: float
    sparsity: float
    whole: tuple[str, ...]
    bits: Mapping[str, int]
    epochs: tuple[int, int, int]
    batch_size: int


PLANS = (
    _Plan(
        "LeNet-300-100",
        100,
        1.64,
        ("40× (Deep Compression), 57× (DeepSZ), 55× (DeepCABAC, second-hand)", "1.64 % → 1.58 % (Deep Compression)"),
        channels=0.4,
        sparsity=0.9,
        whole=(),
        bits={"f1": 3, "f2": 3, "f3": 3},
        epochs=(3, 14, 4),
        batch_size=256,
    ),
    _Plan(
        "LeNet-5",
        115,
        0.80,
        ("39× (Deep Compression), 56× (DeepSZ), 115× (DeepCABAC, second-hand)", "0.80 % → 0.74 % (Deep Compression)"),
        channels=0.3,
        sparsity=0.9,
        whole=("c1",),
        bits={"c1": 3, "c2": 3, "f1": 3, "f2": 3},
        epochs=(1, 5, 1),
        batch_size=128,
    ),
)


def measure(quick: bool) -> Outcome:
    """Compress both networks (quickly, LeNet-5 alone), then test every stage once."""
    data, test = learning_set("digits" if quick else "mnist", limit=20 if quick else None)
    lenet_5 = trained_lenet_5(data, 1 if quick else _BASE_EPOCHS, quick=quick)
    bases = {PLANS[1]: lenet_5}
    if not quick:
        bases = {PLANS[0]: trained_lenet_300_100(data, lenet_5, _BASE_EPOCHS, _COPIES), **bases}
    more = shifted(data, _COPIES)
    stages = {plan: _compress(plan, base, lenet_5, data, more, quick) for plan, base in bases.items()}
    rows, figures = [], []
    for plan, each in stages.items():
        table = _table(plan, each, data, test)
        rows += table
        figures += _figures(plan, table[-1], each.packed)
    about = "scikit-learn's digits" if quick else "MNIST; 10 % of the training images validate"
    return Outcome(about, figures, rows, notes=[] if quick else _NOTES)


_NOTES = (
    "The ratio is float32 bytes of all weights of the published layout over bytes of the whole packed file.",
    "Bytes of the stages: channels removed, 4 bytes a weight; single weights removed, the packed file with float32 values; weights "
    "shared, indices and gaps of fixed width with codebooks and biases; coded, the packed file.",
    "LeNet-300-100 is taught by the trained LeNet-5, LeNet-5 by itself before it was pruned; the published networks had no teacher. "
    "Sparsity and bits are the best of four tries for LeNet-300-100 and two for LeNet-5, on validation images.",
    "The time is that of compressing and testing networks that the cache kept; training all of them takes 16 minutes of a core.",
)


@dataclass(frozen=True, eq=False)
class _Stages:
    """A network on its way."""

    base: keras.Model
    narrow: keras.Model
    sparse: keras.Model
    shared: keras.Model
    packed: Packed


def _compress(
    plan: _Plan, base: keras.Model, teacher: keras.Model, data: LearningData, more: LearningData, quick: bool
) -> _Stages:
    """All passes; `more` is the data with moved copies, which is learnt from."""
    from edge_sdk_converters.pack import pack
    from edge_sdk_converters.tflite import export_tflite

    settings: dict[str, Any] = {"base": _BASE_EPOCHS, "copies": _COPIES, "batch": plan.batch_size}

    def stage(name: str, choices: Any, make: Callable[[], keras.Model]) -> keras.Model:
        settings[name] = choices
        return make() if quick else kept(f"deep-{plan.name.lower()}-{name}", settings, make)

    first, second, third = (1, 1, 1) if quick else plan.epochs
    narrow = stage("narrow", [plan.channels, first], lambda: _narrow(plan, base, teacher, data, more, first))
    sparse = stage("sparse", [plan.sparsity, second, *plan.whole], lambda: _sparse(plan, narrow, teacher, more, second))
    shared = stage("shared", [dict(plan.bits), third], lambda: _shared(plan, sparse, teacher, more, third))
    return _Stages(base, narrow, sparse, shared, pack(export_tflite(shared)))


def _narrow(
    plan: _Plan, base: keras.Model, teacher: keras.Model, data: LearningData, more: LearningData, epochs: int
) -> keras.Model:
    """Whole channels removed."""
    from edge_sdk_converters.budget import Budget
    from edge_sdk_converters.prune.apply import prune
    from edge_sdk_converters.prune.config import Criterion, PruneConfig

    config = PruneConfig(criterion=Criterion.TAYLOR, budget=Budget(parameters=plan.channels), multiple=1)
    model = prune(base, config, data).model
    _recover(plan, model, teacher, more, epochs, 2e-3)
    return model


def _sparse(plan: _Plan, narrow: keras.Model, teacher: keras.Model, data: LearningData, epochs: int) -> keras.Model:
    """Single weights removed, the smallest of the whole network first."""
    from edge_sdk_converters.sparsify.apply import sparsify
    from edge_sdk_converters.sparsify.config import SparsifyConfig

    training = _training(plan, epochs, 3e-3)
    frequency = max(1, min(100, len(data.train.y) * epochs // (10 * plan.batch_size)))
    config = SparsifyConfig(plan.sparsity, frequency=frequency, ramp=0.6, training=training, skip=plan.whole)
    return sparsify(narrow, teacher, config, data, progress=tell(f"{plan.name}: sparsify")).model


def _shared(plan: _Plan, sparse: keras.Model, teacher: keras.Model, data: LearningData, epochs: int) -> keras.Model:
    """What is left shares a few values."""
    from edge_sdk_converters.cluster.apply import cluster
    from edge_sdk_converters.cluster.config import ClusterConfig, Init

    model = cluster(sparse, ClusterConfig(layers=plan.bits, init=Init.DENSITY, bias_bits=3)).model
    _recover(plan, model, teacher, data, epochs, 1e-3)
    return model


def _training(plan: _Plan, epochs: int, rate: float) -> Any:
    from edge_sdk_converters.recover.config import RecoverConfig

    return RecoverConfig(epochs, min_steps=0, learning_rate=rate, distillation=0.7, batch_size=plan.batch_size)


def _recover(
    plan: _Plan, model: keras.Model, teacher: keras.Model, data: LearningData, epochs: int, rate: float
) -> None:
    from edge_sdk_converters.recover.apply import recover

    config, told = _training(plan, epochs, rate), tell(f"{plan.name}: recover")
    recover(model, teacher, data.train, data.validation, config, progress=told)


def _table(plan: _Plan, stages: _Stages, data: LearningData, test: Examples) -> list[dict[str, Any]]:
    """A row per stage."""
    from edge_sdk_converters.cost import count_parameters
    from edge_sdk_converters.pack import pack
    from edge_sdk_converters.source import accuracy
    from edge_sdk_converters.tflite import export_tflite

    whole = 4 * count_parameters(stages.base)
    sizes = {
        "base": (stages.base, whole),
        "channels removed": (stages.narrow, 4 * count_parameters(stages.narrow)),
        "+ weights removed": (stages.sparse, pack(export_tflite(stages.sparse)).size_bytes),
        "+ shared": (stages.shared, sum(map(_fixed_width_bytes, stages.shared.get_weights()))),
        "+ coded": (stages.shared, stages.packed.size_bytes),
    }
    rows = []
    for stage, (model, size) in sizes.items():
        wrong = [100 * (1 - accuracy(model, part)) for part in (data.validation, test)]
        if stage == "+ coded":
            wrong = [100 * (1 - _accuracy_of_file(stages.packed, part)) for part in (data.validation, test)]
        weights = sum(int(np.count_nonzero(value)) for value in model.get_weights())
        row = {"network": plan.name, "stage": stage, "weights": weights, "bytes": size, "ratio": whole / size}
        rows.append({**row, "validation error %": wrong[0], "test error %": wrong[1]})
    return rows


def _accuracy_of_file(packed: Packed, examples: Examples) -> float:
    """Accuracy of the rebuilt .tflite file on the interpreter."""
    from edge_sdk_runtime.codec import unpack
    from edge_sdk_runtime.interpreters.tflite import LITERT

    interpreter = LITERT.load(unpack(packed.content), 1)
    right = 0
    for image, target in zip(examples.x, examples.y, strict=True):
        interpreter.input_view()[0] = image
        interpreter.invoke()
        right += int(interpreter.output_view()[0].argmax() == target)
    interpreter.close()
    return right / len(examples.y)


def _fixed_width_bytes(values: NDArray[np.float32]) -> int:
    """A tensor as Deep Compression stores it before coding: indices and gaps of fixed width, and a codebook.

    A gap that does not fit takes filling zeros; of all widths of gaps the best one counts, no gaps at all among them.
    """
    there = np.flatnonzero(values)
    different = len(np.unique(values.ravel()[there]))
    bits, gaps = math.ceil(math.log2(max(different, 2))), np.diff(there, prepend=-1) - 1
    zero = int(len(there) < values.size)  # without gaps zero is one more value
    sizes = [values.size * math.ceil(math.log2(max(different + zero, 2)))]
    sizes += [int((1 + gaps // 2**width).sum()) * (bits + width) for width in range(1, 9)]
    return math.ceil(min(sizes) / 8) + 4 * different


def _figures(plan: _Plan, coded: Mapping[str, Any], packed: Packed) -> list[Figure]:
    bound = packed.stream_bytes / packed.bound_bytes
    return [
        at_least(f"{plan.name}: compression", coded["ratio"], plan.ratio, "×", plan.published[0]),
        at_most(f"{plan.name}: test error", coded["test error %"], plan.error, "%", plan.published[1]),
        Figure(f"{plan.name}: first-order entropy of the coded streams", packed.bound_bytes, "bytes"),
        at_most(f"{plan.name}: coded streams / first-order entropy", bound, 1.03),
    ]


if __name__ == "__main__":
    sys.exit(command("deep_compression", measure))
