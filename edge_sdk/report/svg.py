"""How every plot of a report looks, and how a matplotlib figure becomes SVG that lives inside a page."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["EM", "INK", "SIZE", "WIDTH", "as_svg", "legible", "new_figure", "panel", "short", "style", "text_width"]

INK = "#010203"
"""Stands for `currentColor`, which the plotting library does not know."""
WIDTH, SIZE = 340.0, 9.0
EM = 0.58
"""Width of an average letter, in font sizes; wide enough for the fonts browsers choose."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legible(text: str) -> str:
    """Text as a page can hold it: what no XML may contain, control characters and broken Unicode, becomes `�`."""
    return _UNPRINTABLE.sub("�", text)


@contextmanager
def style(salt: str) -> Iterator[None]:
    """How every plot looks; `salt` keeps the identifiers of two plots on one page apart."""
    import matplotlib as mpl

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": legible(salt),
        "font.family": ["DejaVu Sans"],
        "font.size": SIZE,
        "lines.markersize": 4,
        "axes.facecolor": "none",
        "legend.handlelength": 0.9,
        "legend.columnspacing": 0.9,
        "legend.handletextpad": 0.5,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0),
        **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    }
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        # The browser has these letters even where the plotting font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively", UserWarning)
        yield


def new_figure(height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A figure of the common width, so many points high, with axes at left, bottom, width and height."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure((WIDTH / 72, height / 72))
    FigureCanvasSVG(figure)
    return figure, panel(figure, box)


def panel(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at left, bottom, width and height."""
    width, height = (72 * side for side in figure.get_size_inches())
    return figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))


def as_svg(figure: Figure, label: str) -> str:
    """The figure without what only a file of its own needs: prolog, metadata, fixed size, identifiers nobody refers to."""
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    written = buffer.getvalue().decode()
    used = set(re.findall(r'(?:href="|url\()#(\w+)', written))
    root = ElementTree.fromstring(written)
    for element in root.iter():
        for child in [each for each in element if each.tag.endswith(("}metadata", "}style"))]:
            element.remove(child)
        _clean(element, used)
    view = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update(xmlns="http://www.w3.org/2000/svg", viewBox=view, role="img")
    root.set("aria-label", legible(label))
    root.set("style", "overflow: visible; stroke-linejoin: round; font-family: system-ui, sans-serif")
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, used: set[str]) -> None:
    element.tag = element.tag.rpartition("}")[2]
    element.tail, element.text = None, (element.text or "").strip() or None
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        if key == "id" and value == "halo":
            element.set("class", value)
        elif key != "id" or value in used:
            inked = value.replace(INK, "currentColor").replace("'DejaVu Sans'", "system-ui, sans-serif")
            element.set(key.rpartition("}")[2], inked)


def short(label: str, columns: int) -> str:
    """A label on one line and no wider than so many columns, of which an ideograph takes two."""
    line = " ".join(legible(label).split())
    if _columns(line) <= columns:
        return line
    while _columns(line) >= columns:
        line = line[:-1]
    return f"{line.rstrip()}…"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def text_width(texts: Sequence[str], size: float) -> float:
    """Points that the widest of these texts takes in a font of that size."""
    return max(_columns(text) for text in texts) * EM * size
