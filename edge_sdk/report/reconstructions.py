"""What autoencoders have learnt, as pictures: images above, what comes back of them below; and a page of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.files import write_atomically

from . import page
from .svg import INK, SIZE, WIDTH, as_svg, new_figure, short, style

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data import Prepared
    from ..learn.autoencoder import Autoencoder

__all__ = ["Reconstructions", "error_curves", "reconstruct_each", "reconstruction_picture", "write_reconstructions"]

_SHOWN = 8
_GAP = 0.06
"""Between two images, in sides of an image."""


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Images of a class, and what its autoencoder makes of them.

    Attributes:
        label: The class.
        originals: `uint8 [N, H, W, C]`, RGB or grey.
        returned: `uint8 [N, H, W, C]`, out of the codes of the originals.
        losses: Mean squared error of held-out images after each epoch, pixels from 0 to 1.
    """

    label: str
    originals: NDArray[np.uint8] = field(repr=False)
    returned: NDArray[np.uint8] = field(repr=False)
    losses: tuple[float, ...]

    @property
    def caption(self) -> str:
        """What the picture shows, and how close it comes."""
        loss = min(self.losses)
        return (
            f"{self.label}: images above, out of their codes below. Mean squared error {loss:.2g} after "
            f"{len(self.losses)} epochs, about {255 * loss**0.5:.0f} of 255 grey levels."
        )


def reconstruct_each(
    autoencoders: Sequence[Autoencoder], images: Prepared, shown: int = _SHOWN
) -> tuple[Reconstructions, ...]:
    """Run the first images of each class through its autoencoder.

    Args:
        autoencoders: One per class, in the order of the labels.
        images: Such as were not learnt from.
        shown: Most images per class.
    """
    from ..learn.autoencoder import reconstruct

    found = []
    for label, autoencoder in enumerate(autoencoders):
        own = images.x[images.y == label][:shown]
        found.append(Reconstructions(images.labels[label], own, reconstruct(autoencoder, own), autoencoder.losses))
    return tuple(found)


def reconstruction_picture(found: Reconstructions) -> str:
    """Originals in one row, reconstructions in the row below.

    Args:
        found: At least one image.

    Returns:
        An SVG that holds the images as PNG.
    """
    count, height, width = found.originals.shape[:3]
    side = WIDTH / (max(count, _SHOWN) * (1 + _GAP))
    tall = side * height / width
    top = 2 * tall + side * _GAP
    with style(f"reconstructions of {found.label}"):
        figure, axes = new_figure(top + 4, (0, 2, WIDTH, top))
        for row, images in enumerate((found.returned, found.originals)):
            for place, image in enumerate(images):
                left, bottom = place * side * (1 + _GAP), row * (tall + side * _GAP)
                pixels = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
                axes.imshow(pixels, extent=(left, left + side, bottom, bottom + tall), interpolation="none")
        axes.set(xlim=(0, WIDTH), ylim=(0, top), xticks=[], yticks=[], aspect="auto")
        return as_svg(figure, f"{count} images of {found.label} and their reconstructions")


def error_curves(found: Sequence[Reconstructions]) -> str:
    """Held-out error after each epoch, one line per class.

    Args:
        found: At least one class.

    Returns:
        An SVG.
    """
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator

    from .plots import class_color

    with style("reconstruction errors"):
        figure, axes = new_figure(200, (40, 30, WIDTH - 130, 150))
        for index, each in enumerate(found):
            color = class_color(index, len(found))
            axes.plot(range(1, len(each.losses) + 1), each.losses, "o-", color=color, markersize=3)
            axes.annotate(
                short(each.label, 14),
                (len(each.losses), each.losses[-1]),
                (5, 0),
                textcoords="offset points",
                va="center_baseline",
                parse_math=False,
                annotation_clip=False,
            )
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatter(FormatStrFormatter("%g"))
        axes.spines[["left", "bottom"]].set_visible(True)
        axes.set_xlabel("epoch", fontsize=SIZE)
        figure.text(2 / WIDTH, 190 / 200, "mean squared error of held-out images", color=INK)
        return as_svg(figure, "Error of held-out images after each epoch")


def write_reconstructions(
    path: str | os.PathLike[str], found: Sequence[Reconstructions], *, title: str, notes: Sequence[str] = ()
) -> None:
    """Write a page of reconstructions, one HTML file that holds everything.

    Args:
        path: The file to create or replace.
        found: One per class, at least one.
        title: Heading of the page.
        notes: What a reader should know.

    Raises:
        OSError: The file cannot be written; a previous one stays as it was.
    """
    verdict = f"{len(found)} autoencoders; the mean squared error of held-out images is {_range(found)}."
    pictures = [page.figure(reconstruction_picture(each), each.caption) for each in found if len(each.originals)]
    body = "\n".join(
        (
            f"<header><h1>{page.text(title)}</h1>\n<p class='verdict'>{page.text(verdict)}</p></header>",
            page.section("Reconstructions", page.bullets(notes), f"<div class='plots'>{''.join(pictures)}</div>"),
            page.section(
                "Training",
                f"<div class='plots'>{page.figure(error_curves(found), 'How close held-out images came, epoch by epoch.')}</div>",
            ),
        )
    )
    write_atomically(path, page.document(title, body).encode())


def _range(found: Sequence[Reconstructions]) -> str:
    least = sorted(min(each.losses) for each in found)
    return f"{least[0]:.2g}" if len(least) == 1 else f"{least[0]:.2g} to {least[-1]:.2g}"
