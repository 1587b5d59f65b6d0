"""Weight decay that knows which weights it wants: penalties on kernels that are added to the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from .config import Decay

__all__ = ["penalty"]


def penalty(decay: Decay, strength: float, scale: float) -> Callable[[Any], Any] | None:
    """What a kernel adds to the loss.

    Args:
        decay: Its form; see there for the formulas and their source.
        strength: Factor of the sum over all weights.
        scale: Magnitude up to which the hyperbolic and the exponential form pull.

    Returns:
        A function of a kernel that gives a scalar; None for no decay.
    """
    term = _terms(scale).get(decay)
    if term is None:
        return None
    return lambda kernel: strength * keras.ops.sum(term(kernel))


def _terms(scale: float) -> dict[Decay, Callable[[Any], Any]]:
    ops = keras.ops
    return {
        Decay.L1: ops.abs,
        Decay.L2: ops.square,
        Decay.HYPERBOLIC: lambda w: ops.abs(w) / (scale + ops.abs(w)),
        Decay.EXPONENTIAL: lambda w: 1.0 - ops.exp(-ops.abs(w) / scale),
    }
