"""Which ways there are to write a layer as a product, and which of them suit a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import Method
from .cp import CanonicalPolyadic
from .matrix import DenseSvd, PointwiseSvd
from .spatial import SpatialPair
from .tucker import Tucker

if TYPE_CHECKING:
    import keras

    from .methods import Factorization

__all__ = ["KINDS", "suitable"]

KINDS: tuple[type[Factorization], ...] = (DenseSvd, PointwiseSvd, Tucker, SpatialPair, CanonicalPolyadic)
"""Every way, in the order in which ties are decided."""

_ALWAYS = (DenseSvd.kind, PointwiseSvd.kind)


def suitable(layer: keras.Layer, method: Method) -> list[type[Factorization]]:
    """The ways that a configuration allows for a layer.

    Args:
        layer: A dense layer, or a channels-last convolution of one group.
        method: What spatial convolutions may become; dense layers and 1×1 convolutions are always split by SVD.

    Returns:
        One way or several; none where the method does not suit the layer.
    """
    allowed = [kind for kind in KINDS if kind.kind in _ALWAYS or method in (Method.AUTO, kind.kind)]
    return [kind for kind in allowed if kind.suits(layer)]
