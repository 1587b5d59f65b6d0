"""The report's plots, each as one SVG string.

Text stays text, so that a browser finds letters the plotting font lacks, and ink is `currentColor`, so that a plot reads on a
light page and on a dark one. The same result gives the same bytes. Lengths in this module are in points.
"""

from __future__ import annotations

import colorsys
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
from edge_sdk_runtime.cli.text import format_bytes, format_ns
from edge_sdk_runtime.similarity import Similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from .measure import BundleResult

__all__ = ["accuracy_by_pass", "confusion_matrix", "embedding_map", "latency_bars", "legible", "size_bars"]

_PALETTE = (
    "#3b7dd8", "#e07b39", "#2fa58a", "#c65b9a", "#8a6fd1", "#b0892b", "#5aa2c7", "#d0504f", "#6b9a3e", "#8d8d8d",
)  # fmt: skip
"""Middle lightness: told apart on white and on near-black."""
_RIGHT, _WRONG = (0.18, 0.44, 0.73), (0.80, 0.31, 0.09)
"""Red, green and blue of cells on and off the diagonal; white digits read on both."""
_INK = "#010203"
"""Stands for `currentColor`, which the plotting library does not know."""
_WIDTH, _SIZE = 380.0, 9.0
_EM = 0.58
"""Width of an average letter, in font sizes; wide enough for the fonts browsers choose."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TSNE_POINTS = range(50, 1001)


def confusion_matrix(result: BundleResult) -> str:
    """Counts of true class by predicted class, each row shaded by its share of the true class.

    Args:
        result: A measured bundle of 2 to 100 classes; above 20 the counts themselves are left out.

    Returns:
        An SVG.
    """
    counts = result.evaluation.confusion
    with _style(f"confusion of {result.title}"):
        labels = [_short(label, 18) for label in result.evaluation.labels]
        font = min(_SIZE, 264 / len(counts))
        room = _text_width(labels, font)
        side = _WIDTH - room - 30
        upright = room > side / len(counts)
        below = (room if upright else font) + 24
        figure, axes = _figure(side + below + 6, (room + 22, below, side, side))
        _draw_cells(axes, counts, side)
        _class_ticks(axes, labels, font, upright)
        figure.text((room + 22 + side / 2) / _WIDTH, 6 / (side + below + 6), "predicted class", ha="center")
        figure.text(10 / _WIDTH, (below + side / 2) / (side + below + 6), "true class", va="center", rotation=90)
        return _svg(figure, f"Confusion matrix of {result.title}")


def embedding_map(result: BundleResult) -> str | None:
    """Held-out images where their embeddings lie, coloured by true class, the wrongly classified crossed.

    Two dimensions are made by t-SNE (van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008) with a fixed seed where
    there are 50 to 1000 images, else by the two principal components.

    Args:
        result: A measured bundle.

    Returns:
        An SVG, or None where there are no embeddings.
    """
    if result.embeddings is None or len(result.embeddings) == 0:
        return None
    staged = result.bundle.manifest.staged
    points, method = _project(result.embeddings, staged is not None and staged.similarity is Similarity.COSINE)
    evaluation, shown = result.evaluation, slice(0, len(points))
    targets, wrong = evaluation.targets[shown], evaluation.predictions[shown] != evaluation.targets[shown]
    with _style(f"embeddings of {result.title}"):
        figure, axes = _figure(340, (6, 26, _WIDTH - 12, 308))
        _draw_classes(axes, points, targets, evaluation.labels)
        axes.plot(*points[wrong].T, "x", color=_INK, markersize=6, markeredgewidth=1.1, clip_on=False)
        axes.set(xticks=[], yticks=[])
        axes.margins(0.03)
        caption = f"{method} of {len(points)} held-out images, × {int(wrong.sum())} wrongly classified"
        figure.text(0.5, 8 / 340, caption, ha="center")
        return _svg(figure, f"Embedding map of {result.title}: {caption}")


def size_bars(results: Sequence[BundleResult]) -> str:
    """Bytes of the `.tflite` files and of the whole bundle, side by side per bundle.

    Args:
        results: Measured bundles, at least one.

    Returns:
        An SVG.
    """
    with _style("sizes"):
        figure, axes = _bar_axes(results, 44)
        kinds = {
            ".tflite": [result.bundle.manifest.measured.tflite_bytes for result in results],
            "bundle": [result.bundle_bytes for result in results],
        }
        texts = {kind: [format_bytes(size) for size in sizes] for kind, sizes in kinds.items()}
        _limit(axes, max(max(sizes) for sizes in kinds.values()), [text for each in texts.values() for text in each])
        for color, shift, (kind, sizes) in zip(_PALETTE[:2], (-0.18, 0.18), kinds.items(), strict=True):
            places = np.arange(len(results)) + shift
            axes.barh(places, sizes, 0.32, color=color, label=kind)
            for place, size, text in zip(places, sizes, texts[kind], strict=True):
                _beside(axes, size, place, text)
        _legend(figure, axes)
        return _svg(figure, "Size of the .tflite files and of the bundle")


def latency_bars(results: Sequence[BundleResult]) -> str:
    """Median latency of each stage, stacked, with the 95th percentile of the total marked.

    Args:
        results: Measured bundles, at least one.

    Returns:
        An SVG.
    """
    totals = [result.evaluation.latency["total"] for result in results]
    texts = [f"{format_ns(total.p50_ns)} / {format_ns(total.p95_ns)}" for total in totals]
    stages = dict.fromkeys(stage for result in results for stage in result.evaluation.latency if stage != "total")
    with _style("latency"):
        figure, axes = _bar_axes(results, 34)
        ends = np.zeros(len(results))
        for index, stage in enumerate(stages):
            p50 = np.array([_p50(result, stage) for result in results])
            color = _color(index, len(stages))
            axes.barh(np.arange(len(results)), p50, 0.5, left=ends, color=color, label=stage)
            ends += p50
        tails = np.array([total.p95_ns for total in totals])
        _limit(axes, float(max(ends.max(), tails.max())), texts)
        axes.plot(
            tails, np.arange(len(results)), "|", color=_INK, markersize=17, markeredgewidth=1.4, label="total, p95"
        )
        for place, (end, tail, text) in enumerate(zip(ends, tails, texts, strict=True)):
            _beside(axes, max(end, tail), place, text)
        _legend(figure, axes)
        return _svg(figure, "Latency per stage, median, and total, 95th percentile")


def accuracy_by_pass(result: BundleResult) -> str | None:
    """Accuracy on the validation images and number of parameters after each pass.

    Args:
        result: A measured bundle.

    Returns:
        An SVG, or None where no pass is reported.
    """
    if not result.passes:
        return None
    figures = [result.passes[0].before, *(report.after for report in result.passes)]
    names = ["original", *(report.kind for report in result.passes)]
    with _style(f"passes of {result.title}"):
        figure, upper = _figure(250, (14, 134, _WIDTH - 28, 86))
        lower = _panel(figure, (14, 22, _WIDTH - 28, 64))
        _steps(upper, [each.accuracy for each in figures], "{:.1%}", _PALETTE[0])
        right_after = [report.accuracy_before_recovery for report in result.passes]
        places = range(1, len(names))
        upper.plot(places, right_after, "o", color=_PALETTE[1], markerfacecolor="none", label="before recovery")
        upper.margins(y=0.3)
        _steps(lower, [each.parameters for each in figures], "{:,}", _PALETTE[2])
        lower.set_ylim(0, max(each.parameters for each in figures) * 1.35 or 1)
        font = min(_SIZE, 340 / len(names) / _text_width(names, 1))
        lower.set_xticks(range(len(names)), names, fontsize=font, parse_math=False)
        for axes, name, top in (
            (upper, "accuracy on validation images (○ before recovery)", 240),
            (lower, "parameters", 98),
        ):
            axes.set(yticks=[], xlim=(-0.5, len(names) - 0.5))
            figure.text(14 / _WIDTH, top / 250, name, va="center")
        upper.set_xticks([])
        return _svg(figure, f"Accuracy and parameters after each pass of {result.title}")


def legible(text: str) -> str:
    """Text as a page can hold it: what no XML may contain, control characters and broken Unicode, becomes `�`."""
    return _UNPRINTABLE.sub("�", text)


@contextmanager
def _style(salt: str) -> Iterator[None]:
    """How every plot looks; `salt` keeps the identifiers of two plots on one page apart."""
    import matplotlib as mpl

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": ["DejaVu Sans"],
        "font.size": _SIZE,
        "lines.markersize": 4,
        "axes.facecolor": "none",
        "legend.handlelength": 0.9,
        "legend.columnspacing": 1.2,
        "legend.handletextpad": 0.5,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
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


def _figure(height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure((_WIDTH / 72, height / 72))
    FigureCanvasSVG(figure)
    return figure, _panel(figure, box)


def _panel(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at left, bottom, width and height."""
    width, height = (72 * side for side in figure.get_size_inches())
    return figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))


def _svg(figure: Figure, label: str) -> str:
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
    element.tail = None
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        if key == "id" and value == "halo":
            element.set("class", value)
        elif key != "id" or value in used:
            inked = value.replace(_INK, "currentColor").replace("'DejaVu Sans'", "system-ui, sans-serif")
            element.set(key.rpartition("}")[2], inked)


def _short(label: str, columns: int) -> str:
    """A label on one line and no wider than so many columns, of which an ideograph takes two."""
    line = " ".join(legible(label).split())
    if _columns(line) <= columns:
        return line
    while _columns(line) >= columns:
        line = line[:-1]
    return f"{line}…"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _text_width(texts: Sequence[str], size: float) -> float:
    return max(_columns(text) for text in texts) * _EM * size


def _draw_cells(axes: Axes, counts: NDArray[np.int64], side: float) -> None:
    from matplotlib.collections import PolyCollection

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, columns = (places.tolist() for places in np.nonzero(counts))
    colors = [
        (*_RIGHT, 0.15 + 0.85 * shares[i, j]) if i == j else (*_WRONG, 0.25 + 0.75 * shares[i, j] ** 0.5)
        for i, j in zip(rows, columns, strict=True)
    ]
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (0.47 if len(counts) <= 40 else 0.5)
    cells = np.stack([columns, rows], axis=1)[:, None] + square
    axes.add_collection(PolyCollection(list(cells), facecolors=colors, linewidths=0))
    axes.spines[:].set(visible=True, alpha=0.25, linewidth=0.6)
    axes.set(xlim=(-0.5, len(counts) - 0.5), ylim=(len(counts) - 0.5, -0.5))
    if len(counts) > 20:
        return
    size = min(_SIZE, side / len(counts) / (_EM * len(str(counts.max())) + 0.5))
    for i, j, color in zip(rows, columns, colors, strict=True):
        ink = "#ffffff" if color[3] > 0.6 else _INK
        axes.text(j, i, str(counts[i, j]), ha="center", va="center_baseline", fontsize=size, color=ink)


def _class_ticks(axes: Axes, labels: Sequence[str], font: float, upright: bool) -> None:
    places, rotation = range(len(labels)), 90 if upright else 0
    axes.set_xticks(places, labels, fontsize=font, rotation=rotation, parse_math=False)
    axes.set_yticks(places, labels, fontsize=font, parse_math=False)


def _project(embeddings: NDArray[np.float32], cosine: bool) -> tuple[NDArray[np.float64], str]:
    """Points `float64 [M, 2]` and the name of the method that made them."""
    vectors = np.nan_to_num(embeddings.astype(np.float64), posinf=0.0, neginf=0.0)
    if cosine:  # neighbours by angle are neighbours by distance on the unit sphere
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    plane = _principal(vectors)
    spread = float(plane[:, 0].std())
    if len(plane) not in _TSNE_POINTS or spread < 1e-9:
        return plane, "PCA"
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):  # sums in another order would give another map
        tsne = TSNE(init=(plane / spread * 1e-4).astype(np.float32), random_state=0)
        return tsne.fit_transform(vectors.astype(np.float32)).astype(np.float64), "t-SNE"


def _principal(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two principal components, `[M, 2]`, with zeros for one that is not there."""
    left, scales, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    plane = np.zeros((len(vectors), 2))
    width = min(2, len(scales))
    plane[:, :width] = left[:, :width] * scales[:width]
    return plane


def _draw_classes(
    axes: Axes, points: NDArray[np.float64], targets: NDArray[np.int64], labels: Sequence[str], named: int = 30
) -> None:
    """One colour per class; the name stands at the point nearest to the class's median, unless there are too many names."""
    for index in np.unique(targets):
        own = points[targets == index]
        axes.plot(*own.T, "o", color=_color(int(index), len(labels)), markeredgewidth=0, alpha=0.85, clip_on=False)
        if len(labels) <= named:
            x, y = own[((own - np.median(own, axis=0)) ** 2).sum(axis=1).argmin()]
            name = axes.text(x, y, _short(labels[index], 18), ha="center", va="center", weight="bold", parse_math=False)
            name.set_gid("halo")


def _color(index: int, total: int) -> str | tuple[float, float, float]:
    """The palette for up to ten, and hues of the same lightness for more."""
    return _PALETTE[index] if total <= len(_PALETTE) else colorsys.hls_to_rgb(index * 0.618034 % 1, 0.52, 0.55)


def _bar_axes(results: Sequence[BundleResult], pitch: float) -> tuple[Figure, Axes]:
    """Axes for horizontal bars, the first bundle on top, with room for a legend above."""
    titles = [_short(result.title, 22) for result in results]
    left, height = _text_width(titles, _SIZE) + 8, pitch * len(results)
    figure, axes = _figure(height + 30, (left, 4, _WIDTH - left - 4, height))
    axes.set(ylim=(len(results) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(results)), titles, parse_math=False)
    return figure, axes


def _limit(axes: Axes, longest: float, texts: Sequence[str]) -> None:
    """End the axis where the longest bar leaves room for the text beside it."""
    width = axes.get_position().width * _WIDTH
    axes.set_xlim(0, longest * width / (width - _text_width(texts, _SIZE) - 8) or 1)


def _beside(axes: Axes, end: float, place: float, text: str) -> None:
    axes.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center_baseline", annotation_clip=False)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", ncols=len(labels), frameon=False, borderpad=0, borderaxespad=0.4)


def _p50(result: BundleResult, stage: str) -> int:
    summary = result.evaluation.latency.get(stage)
    return 0 if summary is None else summary.p50_ns


def _steps(axes: Axes, values: Sequence[float], form: str, color: str) -> None:
    """A level per pass, each written above its middle."""
    places = range(len(values))
    axes.step(places, values, where="mid", color=color, linewidth=1.6)
    axes.plot(places, values, "o", color=color)
    for place, value in zip(places, values, strict=True):
        axes.annotate(form.format(value), (place, value), (0, 6), textcoords="offset points", ha="center")
