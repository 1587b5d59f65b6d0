"""Batch normalisations that an exported file still computes.

Behind a convolution or a dense layer the converter folds them into kernel and bias. Elsewhere (behind an activation, before
a convolution, on a branch that is read twice) a multiplication and an addition remain.
"""

from __future__ import annotations

import re

from .places import read_places

__all__ = ["unfolded_norms"]

_ARITHMETIC = ("MUL", "ADD", "SUB", "RSQRT", "DIV")


def unfolded_norms(model: bytes) -> tuple[str, ...]:
    """Names of the Keras batch normalisations that were not folded, in the order in which they run.

    Args:
        model: A float .tflite file that the SDK exported.
    """
    left = (
        name
        for place in read_places(model)
        if place.operator in _ARITHMETIC
        for name in re.findall(r"([^/;]+)_\d+/batchnorm/", place.output)
    )
    return tuple(dict.fromkeys(left))
