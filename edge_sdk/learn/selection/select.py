"""A selector by the name of its strategy, and selection from arrays, files and generators of blocks in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from .balanced import Balanced
from .base import Selector, Strategy, Told, check_capacity
from .blocks import npy_blocks
from .farthest_first import farthest_first
from .kmeans import nearest_to_centres
from .margin import check_margin_options, evenly_by_margin, margins
from .random_sampling import RandomSampling
from .sampled import SampledSelector
from .top_activation import TopActivation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SelectionConfig", "make_selector", "select"]

_VECTORS = 2**16
_MARGINS = 2**20


@dataclass(frozen=True)
class SelectionConfig:
    """How samples are chosen.

    Attributes:
        strategy: By what.
        count: The most samples that will be asked for, 1 or more.
        classes: Number of classes, for the balanced form; None chooses without regard to classes.
        seed: Of everything random.
        reservoir: The most vectors that k-means and farthest-first hold; beyond it they choose from a random sample of so many.
            In the balanced form all classes together hold so many.
        centres: Of k-means; None for one for each sample to choose.
        discard: Share of the hardest that the margin leaves out, 0 to 1.
        strata: Into how many the margin cuts the rest.
    """

    strategy: Strategy
    count: int
    classes: int | None = None
    seed: int = 0
    reservoir: int = _VECTORS
    centres: int | None = None
    discard: float = 0.3
    strata: int = 50

    def __post_init__(self) -> None:
        check_capacity(self.count)
        check_capacity(self.reservoir, "The number of vectors to hold")
        check_capacity(1 if self.centres is None else self.centres, "The number of centres")
        check_margin_options(self.discard, self.strata)
        if self.seed < 0:
            raise DataError(f"seed must be 0 or greater. Received: {self.seed}. Choose such a number.")


def make_selector(config: SelectionConfig) -> Selector:
    """A selector that has seen nothing yet.

    Args:
        config: The strategy and its options.

    Raises:
        DataError: Balance was asked for with fewer than two classes.
    """
    make = partial(_MAKERS[config.strategy], config)
    return make() if config.classes is None else Balanced(make, config.classes)


def select(
    embeddings: NDArray[Any] | str | Path | Iterable[NDArray[Any]],
    config: SelectionConfig,
    labels: NDArray[np.int64] | None = None,
    *,
    told: Told | None = None,
) -> NDArray[np.int64]:
    """Choose `config.count` samples, or all where there are fewer.

    Args:
        embeddings: An array `[N, D]`, memory-mapped or not; the path of a `.npy` file, which is read in blocks; or anything
            that gives blocks `[M, D]` one after the other. For the margin, class scores.
        config: The strategy and its options.
        labels: Class index of each sample, `int64 [N]`, where strategy or balance need them.
        told: Told how far choosing is, once everything was seen.

    Returns:
        `int64 [k]`, different indices in order of choice.

    Raises:
        DataError: The embeddings are no such thing, or hold NaN or infinity; or labels are missing.
    """
    if isinstance(embeddings, (str, Path)):
        embeddings = npy_blocks(embeddings)
    selector, seen = make_selector(config), 0
    for block in [embeddings] if isinstance(embeddings, np.ndarray) else embeddings:
        selector.add(block, seen, None if labels is None else labels[seen : seen + len(block)])
        seen += len(block)
    if labels is not None and len(labels) != seen:
        raise DataError(f"Labels must be as many as samples, {seen}. Received: {len(labels)}. Pass one for each.")
    if not seen:
        raise DataError("There must be samples to choose from. Received: none. Pass embeddings [N, D].")
    return selector.result(min(config.count, selector.available), told)


def _top_activation(config: SelectionConfig) -> Selector:
    return TopActivation(config.count, config.seed)


def _random(config: SelectionConfig) -> Selector:
    return RandomSampling(config.count, config.seed)


def _kmeans(config: SelectionConfig) -> Selector:
    choose = partial(nearest_to_centres, centres=config.centres, seed=config.seed)
    return SampledSelector(
        Strategy.KMEANS, choose, _held(config, config.reservoir), config.seed, options=(config.centres,)
    )


def _farthest_first(config: SelectionConfig) -> Selector:
    return SampledSelector(Strategy.FARTHEST_FIRST, farthest_first, _held(config, config.reservoir), config.seed)


def _margin(config: SelectionConfig) -> Selector:
    choose = partial(evenly_by_margin, discard=config.discard, strata=config.strata, seed=config.seed)
    options = (config.discard, config.strata)
    size = _held(config, max(_MARGINS, config.reservoir))  # they are numbers, not vectors
    return SampledSelector(Strategy.MARGIN, choose, size, config.seed, vectors=margins, options=options)


def _held(config: SelectionConfig, most: int) -> int:
    """Vectors that one selector holds: as many as may be asked of it, in any case."""
    classes = config.classes or 1
    return max(config.count, most) if classes == 1 else max(-(-config.count // classes) * 2, most // classes)


_MAKERS = {
    Strategy.TOP_ACTIVATION: _top_activation,
    Strategy.RANDOM: _random,
    Strategy.KMEANS: _kmeans,
    Strategy.FARTHEST_FIRST: _farthest_first,
    Strategy.MARGIN: _margin,
}
