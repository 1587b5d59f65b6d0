"""Layouts of convolutional autoencoders: the three published ones, and free ones.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020), names filters, kernels,
activations and the width of the embedding. What it leaves open is decided here:

- Pooling is 2×2. In the binary layouts it stands behind every convolution; the multi-class layout pools behind its second, fourth,
  sixth and eighth, so that a 32-pixel image ends, as in the first binary layout, in 2×2 positions.
- The multi-class encoder has ten convolutions, for which the paper lists eight widths: six of 64, then 128. Here the last width
  holds for all that follow, 64 six times and 128 four times. Its decoder is the mirror image.
- A decoder doubles the sides where its mirrored convolution was pooled, and ends in one more transposed convolution, linear, with
  as many filters as the image has channels: the widths listed end in 32 or 64, and the output is an image.
- Leaky ReLU has a slope of 0.2 below zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_sdk_runtime.preprocess import PreprocessSpec

from ..errors import DataError

__all__ = ["PUBLISHED", "AutoencoderLayout", "layout_for", "layout_named"]

_MAX_FILTERS = 128
_SMALLEST_HALVED = 8
"""A feature map with a shorter side than this is not halved once more: what is left would say little of where."""


@dataclass(frozen=True)
class AutoencoderLayout:
    """Shape of an encoder and of the decoder that undoes it.

    Attributes:
        filters: Of each convolution of the encoder.
        kernels: Side of each of their kernels, in pixels.
        embedding: Width D of the code, from a dense layer without activation.
        decoder_filters: Of each transposed convolution but the last one, which has the image's channels; mirrored where empty.
        decoder_kernels: Side of each of their kernels; mirrored where empty.
        pooled: Which convolutions, counted from 1, have 2×2 maximum pooling behind them; behind each where None.
        slope: Of the decoder's leaky ReLU below zero.

    Raises:
        DataError: Lists of unequal length, or sizes below 1.
    """

    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    embedding: int
    decoder_filters: tuple[int, ...] = ()
    decoder_kernels: tuple[int, ...] = ()
    pooled: tuple[int, ...] | None = None
    slope: float = 0.2

    def __post_init__(self) -> None:
        lists = {
            "kernels": self.kernels,
            "decoder_filters": self.decoder_filters or self.filters,
            "decoder_kernels": self.decoder_kernels or self.kernels,
        }
        for name, values in lists.items():
            if len(values) != len(self.filters) or not values:
                raise DataError(
                    f"{name} must be one number for each of the encoder's convolutions. "
                    f"Received: {len(values)} for {len(self.filters)} filters. Give as many of each, at least one."
                )
        smallest = min(self.embedding, *self.filters, *(value for values in lists.values() for value in values))
        if smallest < 1 or not 0 <= self.slope < 1:
            raise DataError(
                "Filters, kernels and embedding must be at least 1, and slope at least 0 and below 1. "
                f"Received: {smallest} and {self.slope}. Choose such numbers."
            )
        if not set(self.pooled or ()) <= set(range(1, len(self.filters) + 1)):
            raise DataError(
                f"pooled must name convolutions from 1 to {len(self.filters)}. Received: {self.pooled}. Leave the others out."
            )

    @property
    def halved(self) -> tuple[bool, ...]:
        """Whether pooling stands behind each convolution of the encoder."""
        places = range(1, len(self.filters) + 1)
        return tuple(self.pooled is None or place in self.pooled for place in places)

    @property
    def upwards(self) -> tuple[tuple[int, int, int], ...]:
        """Filters, kernel and stride of each transposed convolution of the decoder but the last one."""
        filters = self.decoder_filters or self.filters[::-1]
        kernels = self.decoder_kernels or self.kernels[::-1]
        return tuple(zip(filters, kernels, (2 if half else 1 for half in reversed(self.halved)), strict=True))

    def require(self, spec: PreprocessSpec) -> None:
        """Refuse images that the poolings do not halve exactly: the decoder could not give them back.

        Raises:
            DataError: Names the multiple that sides have to be.
        """
        multiple = 2 ** sum(self.halved)
        if spec.height % multiple or spec.width % multiple:
            raise DataError(
                f"Sides must be multiples of {multiple}, since the layout halves them {sum(self.halved)} times. "
                f"Received: {spec.width} × {spec.height} pixels. Choose such a size, or a layout that pools less."
            )


def layout_for(spec: PreprocessSpec, embedding: int = 64, width: int = 16) -> AutoencoderLayout:
    """A free layout that suits an image size: 3×3 convolutions whose filters double, pooled as often as the sides allow.

    Args:
        spec: Gives the images' shape.
        embedding: Width of the code.
        width: Filters of the first convolution.
    """
    side, height, width_px, count = min(spec.height, spec.width), spec.height, spec.width, 0
    while side >= _SMALLEST_HALVED and height % 2 == 0 and width_px % 2 == 0:
        side, height, width_px, count = side // 2, height // 2, width_px // 2, count + 1
    filters = tuple(min(width * 2**stage, _MAX_FILTERS) for stage in range(max(1, count)))
    return AutoencoderLayout(filters, (3,) * len(filters), embedding, pooled=tuple(range(1, count + 1)))


def layout_named(name: str, spec: PreprocessSpec, embedding: int = 64) -> AutoencoderLayout:
    """A layout as a user names it.

    Args:
        name: `"auto"` for `layout_for`, or a key of `PUBLISHED`.
        spec: Gives the images' shape.
        embedding: Width of the code where the layout is `"auto"`; a published one has its own.

    Raises:
        DataError: There is no such layout, or it does not fit the images.
    """
    if name != "auto" and name not in PUBLISHED:
        raise DataError(f"layout must be one of auto, {', '.join(PUBLISHED)}. Received: {name!r}. Choose one of them.")
    layout = layout_for(spec, embedding) if name == "auto" else PUBLISHED[name]
    layout.require(spec)
    return layout


PUBLISHED: Mapping[str, AutoencoderLayout] = MappingProxyType(
    {
        "imageem-binary-1": AutoencoderLayout((32, 64, 64, 64), (3, 5, 5, 5), 1000, (64, 64, 64, 32), (3, 5, 5, 5)),
        "imageem-binary-2": AutoencoderLayout((32, 64, 64), (3, 5, 5), 1000, (64, 64, 32), (3, 5, 5)),
        "imageem-multiclass": AutoencoderLayout((64,) * 6 + (128,) * 4, (3,) * 8 + (5,) * 2, 5000, pooled=(2, 4, 6, 8)),
    }
)
"""The paper's layouts by name: autoencoder 1 ("dog") and 2 ("cat") of the binary experiment, and that of the multi-class one."""
