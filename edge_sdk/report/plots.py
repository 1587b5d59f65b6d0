"""The report's plots, each as one SVG string.

Text stays text, so that a browser finds letters the plotting font lacks, and ink is `currentColor`, so that a plot reads on a
light page and on a dark one. The same result gives the same bytes. Lengths in this module are in points.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.cli.text import format_bytes, format_ns
from edge_sdk_runtime.similarity import Similarity

from .svg import EM, INK, SIZE, WIDTH, as_svg, new_figure, panel, short, style, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from .measure import BundleResult

__all__ = ["accuracy_by_pass", "class_color", "confusion_matrix", "embedding_map", "latency_bars", "size_bars"]

_PALETTE = (
    "#3b7dd8", "#e07b39", "#2fa58a", "#c65b9a", "#8a6fd1", "#b0892b", "#5aa2c7", "#d0504f", "#6b9a3e", "#8d8d8d",
)  # fmt: skip
"""Middle lightness: told apart on white and on near-black."""
_RIGHT, _WRONG = (0.18, 0.44, 0.73), (0.80, 0.31, 0.09)
"""Red, green and blue of cells on and off the diagonal; white digits read on both."""
_TSNE_POINTS = range(50, 1001)


def confusion_matrix(result: BundleResult) -> str:
    """Counts of true class by predicted class, each row shaded by its share of the true class.

    Args:
        result: A measured bundle of 2 to 100 classes; above 20 the counts themselves are left out.

    Returns:
        An SVG.
    """
    counts = result.evaluation.confusion
    with style(f"confusion of {result.title}"):
        labels = [short(label, 18) for label in result.evaluation.labels]
        font = min(SIZE, 264 / len(counts))
        title = SIZE if len(counts) <= 20 else 5.0  # more classes are shown at twice the scale
        room = text_width(labels, font)
        side = WIDTH - room - 30
        upright = room > side / len(counts)
        below = (room if upright else font) + 24
        figure, axes = new_figure(side + below + 6, (room + 22, below, side, side))
        _draw_cells(axes, counts, side)
        _class_ticks(axes, labels, font, upright)
        figure.text((room + 22 + side / 2) / WIDTH, 6 / (side + below + 6), "predicted class", ha="center", size=title)
        figure.text(
            2 / WIDTH, (below + side / 2) / (side + below + 6), "true class", va="center", rotation=90, size=title
        )
        return as_svg(figure, f"Confusion matrix of {result.title}")


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
    with style(f"embeddings of {result.title}"):
        figure, axes = new_figure(320, (6, 26, WIDTH - 12, 288))
        _draw_classes(axes, points, targets, evaluation.labels)
        axes.plot(*points[wrong].T, "x", color=INK, markersize=6, markeredgewidth=1.1, clip_on=False)
        axes.set(xticks=[], yticks=[])
        axes.margins(0.03)
        caption = f"{method} of {len(points)} held-out images, × {int(wrong.sum())} wrongly classified"
        figure.text(0.5, 8 / 320, caption, ha="center")
        return as_svg(figure, f"Embedding map of {result.title}: {caption}")


def size_bars(results: Sequence[BundleResult]) -> str:
    """Bytes of the `.tflite` files and of the whole bundle, side by side per bundle.

    Args:
        results: Measured bundles, at least one.

    Returns:
        An SVG.
    """
    with style("sizes"):
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
        return as_svg(figure, "Size of the .tflite files and of the bundle")


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
    with style("latency"):
        figure, axes = _bar_axes(results, 34)
        ends = np.zeros(len(results))
        for index, stage in enumerate(stages):
            p50 = np.array([_p50(result, stage) for result in results])
            color = class_color(index, len(stages))
            axes.barh(np.arange(len(results)), p50, 0.5, left=ends, color=color, label=stage)
            ends += p50
        tails = np.array([total.p95_ns for total in totals])
        _limit(axes, float(max(ends.max(), tails.max())), texts)
        axes.plot(tails, np.arange(len(results)), "|", color=INK, markersize=14, markeredgewidth=1.4, label="p95")
        for place, (end, tail, text) in enumerate(zip(ends, tails, texts, strict=True)):
            _beside(axes, max(end, tail), place, text)
        _legend(figure, axes)
        return as_svg(figure, "Latency per stage, median, and total, 95th percentile")


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
    with style(f"passes of {result.title}"):
        figure, upper = new_figure(250, (14, 134, WIDTH - 28, 86))
        lower = panel(figure, (14, 22, WIDTH - 28, 64))
        _steps(upper, [each.accuracy for each in figures], "{:.1%}", _PALETTE[0])
        right_after = [report.accuracy_before_recovery for report in result.passes]
        places = range(1, len(names))
        upper.plot(places, right_after, "o", color=_PALETTE[1], markerfacecolor="none")
        for place, share in zip(places, right_after, strict=True):
            upper.annotate(f"{share:.1%}", (place, share), (7, 0), textcoords="offset points", va="center_baseline")
        upper.margins(y=0.3)
        _steps(lower, [each.parameters for each in figures], "{:,}", _PALETTE[2])
        lower.set_ylim(0, max(each.parameters for each in figures) * 1.35 or 1)
        font = min(SIZE, (WIDTH - 28) / len(names) / text_width(names, 1))
        lower.set_xticks(range(len(names)), names, fontsize=font, parse_math=False)
        for axes, name, top in (
            (upper, "accuracy on validation images (○ before recovery)", 240),
            (lower, "parameters", 98),
        ):
            axes.set(yticks=[], xlim=(-0.5, len(names) - 0.5))
            figure.text(14 / WIDTH, top / 250, name, va="center")
        upper.set_xticks([])
        return as_svg(figure, f"Accuracy and parameters after each pass of {result.title}")


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
    size = min(SIZE, side / len(counts) / (EM * len(str(counts.max())) + 0.5))
    for i, j, color in zip(rows, columns, colors, strict=True):
        ink = "#ffffff" if color[3] > 0.6 else INK
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
    from threadpoolctl import threadpool_limits

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
        axes.plot(*own.T, "o", color=class_color(int(index), len(labels)), markeredgewidth=0, alpha=0.85, clip_on=False)
        if len(labels) <= named:
            x, y = own[((own - np.median(own, axis=0)) ** 2).sum(axis=1).argmin()]
            name = axes.text(x, y, short(labels[index], 18), ha="center", va="center", weight="bold", parse_math=False)
            name.set_gid("halo")


def class_color(index: int, total: int) -> str | tuple[float, float, float]:
    """The colour of a class: the palette for up to ten, and hues of the same lightness for more."""
    return _PALETTE[index] if total <= len(_PALETTE) else colorsys.hls_to_rgb(index * 0.618034 % 1, 0.52, 0.55)


def _bar_axes(results: Sequence[BundleResult], pitch: float) -> tuple[Figure, Axes]:
    """Axes for horizontal bars, the first bundle on top, with room for a legend above."""
    titles = [short(result.title, 22) for result in results]
    left, height = text_width(titles, SIZE) + 8, pitch * len(results)
    figure, axes = new_figure(height + 30, (left, 4, WIDTH - left - 4, height))
    axes.set(ylim=(len(results) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(results)), titles, parse_math=False)
    return figure, axes


def _limit(axes: Axes, longest: float, texts: Sequence[str]) -> None:
    """End the axis where the longest bar leaves room for the text beside it."""
    width = axes.get_position().width * WIDTH
    axes.set_xlim(0, longest * width / (width - text_width(texts, SIZE) - 8) or 1)


def _beside(axes: Axes, end: float, place: float, text: str) -> None:
    axes.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center_baseline", annotation_clip=False)


def _legend(figure: Figure, axes: Axes) -> None:
    """Name what is drawn, the bars before the marks on them."""
    handles, labels = axes.get_legend_handles_labels()
    bars = len(handles) - len(axes.containers)
    handles, labels = handles[bars:] + handles[:bars], labels[bars:] + labels[:bars]
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
