"""How many bits every layer gets under a budget, by what each layer's bits cost the network's output."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BudgetError, RecipeError
from ..factorize.allocate import Choice, allocate
from ..source import accuracy
from ..training import without_tracing_notes
from .coding import coded_bytes
from .config import MOST_BITS

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..learning import LearningData, Told
    from .config import ClusterBudget, ClusterConfig
    from .subjects import Subject

__all__ = ["choose_bits"]

_ROUNDS = 8
"""Halvings of the range of sizes, down to a 256th of it."""

_AT_ONCE = 256

Menu = dict[int, Choice]
"""What a layer loses and takes, by bits."""

Bits = dict[str, int]
"""Bits of every layer by name."""


def choose_bits(
    model: keras.Model,
    subjects: Sequence[Subject],
    config: ClusterConfig,
    data: LearningData | None,
    told: Told | None = None,
) -> Bits:
    """Choose the bits of all layers at once: the least sum of output errors within the budget.

    What a layer's bits cost is measured on the network's output with that layer alone shared: the mean square of the change
    as a share of the output's own variance. Under a limit on accuracy the fewest bytes are found by bisection over
    networks that are tried out.

    Args:
        model: The network; its tensors change meanwhile and are the same afterwards.
        subjects: Its layers to be shared.
        config: The budget, and bits given by hand.
        data: Training images to measure on, validation images for accuracy.
        told: Told how many layers have been looked into, and of how many.

    Returns:
        Bits by name of the layer.

    Raises:
        RecipeError: There are no images to measure on.
        BudgetError: The budget cannot be met; says which limit binds, and the best that was reached.
    """
    budget = config.budget
    assert budget is not None, "asked for with a budget only"
    images = _images(config, data)
    menus = _menus(model, subjects, config, images, told)
    if budget.bytes is not None:
        _require_room(menus, budget.bytes)
    if budget.accuracy_drop is None or data is None:
        return _selection(menus, float(budget.bytes or 0))

    before = accuracy(model, data.validation)
    tried: dict[tuple[int, ...], float] = {}

    def lost(bits: Bits) -> float:
        key = tuple(bits.values())
        if key not in tried:
            with _tried(subjects, [subject.shared(2 ** bits[subject.name], config) for subject in subjects]):
                tried[key] = before - accuracy(model, data.validation)
        return tried[key]

    return _fewest_bytes(menus, budget, lost)


def _images(config: ClusterConfig, data: LearningData | None) -> NDArray[Any]:
    limited = config.budget is not None and config.budget.accuracy_drop is not None
    if data is None or not len(data.train.y) or (limited and not len(data.validation.y)):
        raise RecipeError(
            "A budget needs training images to measure bits on, and validation images for accuracy_drop. Received: none. "
            "Pass data, or write bits = 4."
        )
    chosen = np.random.default_rng(config.seed).permutation(len(data.train.y))[: config.samples]
    return data.train.x[np.sort(chosen)]


def _menus(
    model: keras.Model,
    subjects: Sequence[Subject],
    config: ClusterConfig,
    images: NDArray[Any],
    told: Told | None,
) -> dict[str, Menu]:
    exact = _outputs(model, images)
    scale = max(float(exact.var()), float(np.finfo(np.float32).tiny))
    menus: dict[str, Menu] = {}
    for done, subject in enumerate(subjects, 1):
        given = config.layers.get(subject.name)
        menus[subject.name] = {}
        for bits in (given,) if given else range(1, MOST_BITS + 1):
            values = subject.shared(2**bits, config)
            with _tried([subject], [values]):
                error = float(np.square(_outputs(model, images) - exact).mean()) / scale
            menus[subject.name][bits] = Choice(error, {"bytes": float(sum(map(coded_bytes, values)))})
        if told:
            told("cluster", done, len(subjects))
    return menus


def _outputs(model: keras.Model, images: NDArray[Any]) -> NDArray[np.float32]:
    """The network's outputs; for so few images `predict` would take longer to set up than to compute."""
    with without_tracing_notes():
        parts = [model.predict_on_batch(images[at : at + _AT_ONCE]) for at in range(0, len(images), _AT_ONCE)]
    return np.concatenate([np.asarray(part) for part in parts])


@contextlib.contextmanager
def _tried(subjects: Sequence[Subject], values: Sequence[Sequence[NDArray[np.float32]]]) -> Iterator[None]:
    """Other values in some layers while a block looks at the network."""
    kept = [subject.values() for subject in subjects]
    for subject, each in zip(subjects, values, strict=True):
        subject.assign(each)
    try:
        yield
    finally:
        for subject, each in zip(subjects, kept, strict=True):
            subject.assign(each)


def _selection(menus: Mapping[str, Menu], most_bytes: float) -> Bits:
    choices = [list(menu.values()) for menu in menus.values()]
    selected = allocate(choices, {"bytes": most_bytes})
    return {name: list(menu)[index] for (name, menu), index in zip(menus.items(), selected, strict=True)}


def _fewest_bytes(menus: Mapping[str, Menu], budget: ClusterBudget, lost: Callable[[Bits], float]) -> Bits:
    """Bisect over bytes; only selections that were tried are returned."""
    low = _total(menus, min)
    high = float(budget.bytes or _total(menus, max))
    drop = budget.accuracy_drop or 0.0
    best = _selection(menus, high)
    if (least := lost(best)) > drop:
        limit = f" together with bytes = {budget.bytes}" if budget.bytes else ""
        raise BudgetError(
            f"The limit on accuracy_drop cannot be met by sharing weights{limit}. Received: at most {drop:.3g}, where the least "
            f"reached is {least:.3g}. Allow more, or skip the layers that lose the most."
        )
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        found = _selection(menus, middle)
        low, high, best = (low, middle, found) if lost(found) <= drop else (middle, high, best)
    return best


def _total(menus: Mapping[str, Menu], of: Callable[[Iterable[float]], float]) -> float:
    return sum(of([choice.costs["bytes"] for choice in menu.values()]) for menu in menus.values())


def _require_room(menus: Mapping[str, Menu], limit: int) -> None:
    least = _total(menus, min)
    if least > limit:
        raise BudgetError(
            f"The limit on bytes cannot be met by sharing weights. Received: at most {limit:,}, where the least reached is "
            f"{round(least):,}. Allow more, or make weights zero first (sparsify)."
        )
