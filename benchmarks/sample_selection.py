"""Training a CIFAR-10 classifier on 4,320 chosen images of 50,000: every strategy, equal steps, three seeds; and equal wall time.

After "Faster Training by Selecting Samples Using Embeddings". `benchmarks/selection_cells.py` states network and training. How the
margin chooses is decided on validation images, among samples that do not hold them; the test images are looked at once per training.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from .harness import Figure, Outcome, at_least, command
from .selection_cells import AUTOENCODER, CLASSIFIER, COURSE, SCORES, Cell, Choice, Setting, run_cell
from .sets import said_beside

_SEEDS = (0, 1, 2)
_GAP = 6.3
_SECONDS = 60.0
_LONGER = 4
"""Times the steps of two more rows, which show where longer training leads."""
_QUICK = Setting(
    count=60, steps=2, batch_size=16, filters=(4, 4), dense=8, autoencoder_steps=2, data="digits", limit=20
)

_ALL = Choice("")
_RANDOM = Choice("random")
_MARGINS = tuple(
    Choice("margin", balanced=True, basis=basis, discard=discard, strata=strata)
    for basis, discard, strata in (
        (SCORES, 0.3, 50),
        (SCORES, 0.5, 50),
        (COURSE, 0.3, 50),
        (COURSE, 0.5, 50),
        (COURSE, 0.7, 50),
    )
)
_PUBLISHED_STRATEGIES = tuple(
    Choice(strategy, balanced, basis)
    for strategy, basis in (
        ("random", "none"),
        ("top-activation", AUTOENCODER),
        ("kmeans", AUTOENCODER),
        ("farthest-first", AUTOENCODER),
    )
    for balanced in (False, True)
)
_KNOWING = (Choice("top-activation", True, CLASSIFIER), Choice("kmeans", True, CLASSIFIER))
"""The same strategies on what a classifier that knows all labels makes of the images."""


def measure(quick: bool) -> Outcome:
    """All cells; quickly, two strategies on 200 handwritten digits for two steps, which shows only that the code runs."""
    setting, seeds = (_QUICK, (0,)) if quick else (Setting(), _SEEDS)
    margin, tried = _best_margin(setting, quick)
    choices = (_RANDOM, _PUBLISHED_STRATEGIES[2]) if quick else (*_PUBLISHED_STRATEGIES, margin)
    subset = {choice: _row(setting, choice, seeds, 1.0, quick) for choice in choices}
    once = () if quick else (*((choice, 1.0) for choice in _KNOWING), (_RANDOM, 0.5), (margin, 0.5))
    others = [_row(setting, choice, seeds[:1], share, quick) for choice, share in once]
    longer = replace(setting, steps=_LONGER * setting.steps)
    lasting = [] if quick else [_row(longer, choice, seeds[:1], 1.0, quick) for choice in (_RANDOM, margin)]
    full = _row(setting, _ALL, seeds, 0.0, quick)
    timed = _equal_time(setting, margin, seeds, quick)
    rows = [*subset.values(), *others, *lasting, full, *timed, *tried]
    return Outcome(_data(setting), _figures(subset, full, timed, lasting), rows, notes=_notes(setting, margin))


def _best_margin(setting: Setting, quick: bool) -> tuple[Choice, list[dict[str, Any]]]:
    """How much of the hardest to leave out and how to take the rest, by accuracy on validation images, first seed."""
    if quick:
        return _MARGINS[0], []
    held_out = replace(setting, held_out=True)
    found = [run_cell(Cell(held_out, choice, _SEEDS[0])) for choice in _MARGINS]
    rows = [
        _line(f"{_name(choice)}, on validation images", "100 / 0", [cell])
        for choice, cell in zip(_MARGINS, found, strict=True)
    ]
    return _MARGINS[int(np.argmax([cell["accuracy"] for cell in found]))], rows


def _row(setting: Setting, choice: Choice, seeds: tuple[int, ...], first_share: float, quick: bool) -> dict[str, Any]:
    cells = [run_cell(Cell(setting, choice, seed, first_share), keep=not quick) for seed in seeds]
    return _line(_name(choice), f"{100 * first_share:.0f} / {100 - 100 * first_share:.0f}", cells)


def _equal_time(setting: Setting, choice: Choice, seeds: tuple[int, ...], quick: bool) -> list[dict[str, Any]]:
    """Subset then all, and all alone, each for the same wall time; the two of a seed follow each other."""
    seconds = 0.1 if quick else _SECONDS
    plans = ((choice, 0.5), *(() if quick else ((_RANDOM, 0.5),)), (_ALL, 0.0))
    found: dict[tuple[Choice, float], list[dict[str, Any]]] = {plan: [] for plan in plans}
    for seed in seeds:
        for plan in plans:
            found[plan].append(run_cell(Cell(setting, plan[0], seed, plan[1], seconds), keep=not quick))
    return [
        _line(f"{_name(choice)}, {seconds:g} s", f"{100 * share:.0f} / {100 - 100 * share:.0f}", cells)
        for (choice, share), cells in found.items()
    ]


def _line(name: str, phases: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [100 * cell["accuracy"] for cell in cells]
    return {
        "chosen by": name,
        "subset / all %": phases,
        "accuracy %": float(np.mean(accuracies)),
        "spread": float(np.std(accuracies, ddof=1)) if len(cells) > 1 else 0.0,
        "runs": len(cells),
        "steps": round(float(np.mean([cell["steps"] for cell in cells]))),
        "fewest of a class": min(cell["classes"][0] for cell in cells),
        "most of a class": max(cell["classes"][1] for cell in cells),
        "processor s a run": float(np.mean([cell["processor_s"] for cell in cells])),
    }


def _name(choice: Choice) -> str:
    if not choice.strategy:
        return "all samples"
    options = f" (discard {choice.discard:g}, {choice.strata} strata)" if choice.strategy == "margin" else ""
    by = f" on {choice.basis}" if choice.basis != "none" else ""
    return f"{choice.strategy}{options}{', balanced' if choice.balanced else ''}{by}"


def _figures(
    subset: dict[Choice, dict[str, Any]],
    full: dict[str, Any],
    timed: list[dict[str, Any]],
    lasting: list[dict[str, Any]],
) -> list[Figure]:
    random = subset[_RANDOM]
    best = max(subset.values(), key=lambda row: float(row["accuracy %"]))
    published = next(row for choice, row in subset.items() if choice.strategy == "top-activation")
    why = (
        f"the best is {best['chosen by']}; all 50,000 samples come to {full['accuracy %']:.1f} % in as many steps, so that here steps are "
        "what is short, and hardly any choice could be that far above random; codes of the autoencoder are pictures in small and say "
        "little of classes, and the margin was tried in five ways on validation images"
    )
    for row in lasting:
        why += f"; in {row['steps']:,} steps {row['chosen by']} comes to {row['accuracy %']:.1f} %"
    return [
        at_least(
            "best strategy − random, subset only", best["accuracy %"] - random["accuracy %"], _GAP, "points",
            "6.3 (63.9 % − 57.6 %, 1,024 × 10,000 steps)", why,
        ),
        Figure("best strategy, subset only", best["accuracy %"], "%", published="63.9 %"),
        Figure("random, subset only", random["accuracy %"], "%", published="57.6 %"),
        Figure("spread of random over the seeds", random["spread"], "points"),
        Figure("top activation − random, subset only", published["accuracy %"] - random["accuracy %"], "points", published="6.3"),
        Figure("all samples, as many steps", full["accuracy %"], "%", published="83.3 %"),
        Figure("equal time: subset then all", timed[0]["accuracy %"], "%", published="63.5 %"),
        Figure("equal time: all", timed[-1]["accuracy %"], "%", published="10.4 %"),
    ]  # fmt: skip


def _data(setting: Setting) -> str:
    name = "CIFAR-10" if setting.data == "cifar10" else setting.data
    return f"{name}, {setting.count:,} chosen, {setting.steps:,} steps of {setting.batch_size}"


def _notes(setting: Setting, margin: Choice) -> list[str]:
    return [
        f"{setting.count:,} of the 50,000 training images, three seeds of selection, weights and order; tested once, on the last weights.",
        "The autoencoder needs no labels. The classifier whose hidden layer or scores some rows choose by (benchmarks/vgg.py) has learnt "
        "the labels of all training images, and the course of a training is one of the network itself on all of them: such choices pay "
        "where a subset is used again, for other networks or on devices.",
        f"Of five ways to choose by the margin, {_name(margin)} was best on 5,000 validation images, which that choice could not take.",
        "The time to embed and to choose is not counted in the rows of equal time; wall time is that of two_phase(), first step included.",
        *said_beside(setting.data),
    ]


if __name__ == "__main__":
    sys.exit(command("sample_selection", measure))
