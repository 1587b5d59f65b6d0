"""Selection by how clearly a trained classifier tells a sample's class: few samples teach more when they are not the hardest.

Sorscher et al., "Beyond Neural Scaling Laws: Beating Power Law Scaling via Data Pruning" (NeurIPS 2022): of little data the easy part
is worth most. Zheng et al., "Coverage-Centric Coreset Selection for High Pruning Rates" (ICLR 2023): leave out the hardest, among
which are mislabelled and untypical samples, and take the rest evenly over the whole range of difficulty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError
from .base import Told
from .blocks import Piece

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_margin_options", "evenly_by_margin", "margins"]


def margins(piece: Piece) -> NDArray[np.float32]:
    """The score of a sample's own class less the highest of the others.

    Args:
        piece: Rows are class scores `[M, classes]` (cosines, logits or probabilities) and have labels.

    Returns:
        `float32 [M, 1]`; the less, the harder.

    Raises:
        DataError: There are no labels, or the rows are no scores of these classes.
    """
    scores = piece.rows
    if piece.labels is None or scores.shape[1] < 2 or piece.labels.max() >= scores.shape[1]:
        given = "no labels" if piece.labels is None else f"label {piece.labels.max()}"
        raise DataError(
            "The margin needs scores of two classes or more and the class index of each sample. "
            f"Received: {given} for scores {list(scores.shape)}. Pass a classifier's outputs and labels."
        )
    own = piece.labels[:, None]
    others = scores.copy()
    np.put_along_axis(others, own, -np.inf, axis=1)
    return np.take_along_axis(scores, own, axis=1) - others.max(axis=1, keepdims=True)


def evenly_by_margin(
    values: NDArray[np.float32],
    k: int,
    told: Told | None = None,
    *,
    discard: float = 0.3,
    strata: int = 50,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Leave out the hardest and choose evenly over the range of what is left.

    The range of margins is cut into strata of equal width, and each gives the same number at random; what a stratum has not
    got, the others give. With one stratum the choice is random among those left.

    Args:
        values: Margins, `float32 [N, 1]`.
        k: How many, 1 to N.
        told: Not told anything; this is quick.
        discard: Share of the samples to leave out, the hardest; fewer where k would not be left. 1 chooses the k easiest.
        strata: How many strata.
        seed: Of the choice within strata.

    Returns:
        `int64 [k]`, different positions, the strata in turn.
    """
    del told
    order = np.argsort(-values[:, 0], kind="stable")  # the easiest first
    left = order[: max(k, round((1 - discard) * len(order)))]
    rng = np.random.default_rng(seed)
    left = left[rng.permutation(len(left))]
    strata_of = _strata(values[left, 0], strata)
    by_stratum = np.argsort(strata_of, kind="stable")
    sizes = np.bincount(strata_of, minlength=strata)
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(len(left)) - starts[strata_of[by_stratum]]
    in_turn = np.argsort(ranks, kind="stable")[:k]
    return left[by_stratum[in_turn]].astype(np.int64, copy=False)


def check_margin_options(discard: float, strata: int) -> None:
    """Refuse options that leave nothing.

    Raises:
        DataError: The share is not between 0 and 1, or there is no stratum.
    """
    if not 0 <= discard <= 1 or strata < 1:
        raise DataError(
            "discard must be between 0 and 1, and strata at least 1. "
            f"Received: discard={discard}, strata={strata}. The usual ones are 0.3 and 50."
        )


def _strata(values: NDArray[np.float32], strata: int) -> NDArray[np.int64]:
    lowest, highest = values.min(), values.max()
    width = max(float(highest - lowest), np.finfo(np.float32).tiny)
    return np.minimum((values - lowest) / width * strata, strata - 1).astype(np.int64)
