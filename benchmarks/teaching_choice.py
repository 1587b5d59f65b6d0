"""How classes are taught and unknown images told, chosen by classes that stand in for those it is measured with.

Three times, two classes of Fashion-MNIST stand in for sandal and bag, of which nothing is looked at here: an encoder learns from
the other six, the two are taught from 20 training images each, drawn anew in every repetition, and all is measured on further training
images, from which nothing has learnt. Scikit-learn's digits and CIFAR-10 in grey are what is far from all classes. No test
image is used.

The rule of choice: of the values that flag at most 4 % of known images, the best score wins. The score is the mean of five
shares: images of all classes classified rightly afterwards, every class counting the same, taught images flagged unknown before
and not flagged afterwards, far images flagged before and afterwards. Where some values are to be preferred, 0.1 points count as nothing,
and of those within them the preferred one stands: less work for a device, fewer thresholds, the head's decay that other data have shown
to do. One setting is chosen after the other, from the middle of every list on, again and again until nothing changes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .harness import Figure, Outcome, command
from .teaching_situations import situation
from .teaching_trials import Choice, Shares, Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk_runtime import PreprocessSpec

_STAND_INS = (("trouser", "ankle boot"), ("dress", "shirt"), ("pullover", "sneaker"))
_NEVER = ("sandal", "bag")
_GRID: dict[str, tuple[Any, ...]] = {
    "width": (0, 32, 64, 128),
    "weight": (0.25, 0.5, 1.0),
    "equal": (0.9, 0.7, 0.5, 0.3, 0.1, 0.03),
    "distances": ("length 1", "as they are", "both"),
    "thresholds": ("one", "per class"),
    "weight_decay": (0.5, 1.0, 0.2, 0.1),
    "units": (4, 8, 16),
    "steps": (50, 100, 200),
    "rate": (0.03, 0.1, 0.3),
    "decay": (1.0, 0.3, 0.1, 0.03),
    "stress": (1.0, 2.0, 3.0, 5.0),
    "known": (0.6, 0.7, 0.8, 0.9, 1.0),
}
_DRAWS = 8
_FAR = 1000
"""Images of each set of other things."""
_MOST_FLAGGED = 0.04
_PREFERRED = ("width", "distances", "thresholds", "weight_decay", "units", "steps")
"""Settings whose lists begin with what is to be preferred."""
_NOTHING = 0.001
"""A gain in score for which nothing is given up that is preferred."""
_ROUNDS = 6


class _Tried(NamedTuple):
    """A choice, and the shares it came to, averaged over the situations."""

    choice: Choice
    shares: Shares

    @property
    def score(self) -> float:
        """What the best choice has most of."""
        shares = self.shares
        kept = 1 - shares.taught_flagged
        told = shares.new_flagged, shares.far_flagged, shares.far_flagged_after
        return float(np.mean([shares.right, kept, *told]))

    @property
    def allowed(self) -> bool:
        """Whether few enough known images are flagged."""
        return self.shares.known_flagged <= _MOST_FLAGGED


class _Search:
    """Choices in all situations, none of them tried twice."""

    def __init__(self, trials: list[Trials]) -> None:
        self._trials, self._known = trials, dict[Choice, _Tried]()

    def tried(self, choice: Choice) -> _Tried:
        if choice not in self._known:
            shares = np.mean([each.shares(choice) for each in self._trials], axis=0)
            self._known[choice] = _Tried(choice, Shares(*(float(share) for share in shares)))
        return self._known[choice]

    def alternatives(self, choice: Choice, setting: str, values: tuple[Any, ...]) -> list[_Tried]:
        """All values of one setting, the others as they are."""
        return [self.tried(choice._replace(**{setting: value})) for value in values]


def measure(quick: bool) -> Outcome:
    """Choose settings; quickly: digits, one situation, two settings."""
    from edge_sdk.data import load_images

    splits = load_images("digits" if quick else "fashion_mnist", limit=40 if quick else None)
    assert splits.spec is not None, "named sets have a native size"
    grid = {**_GRID, "width": (8,), "equal": (0.1, 0.03)} if quick else _GRID
    stand_ins, never = ((("6", "7"),), ("8", "9")) if quick else (_STAND_INS, _NEVER)
    far, widest = _far(splits.spec, quick), max(grid["width"])
    trials = [
        Trials(situation(splits, each, never, far), 1 if quick else _DRAWS, widest, quick=quick) for each in stand_ins
    ]
    search = _Search(trials)
    chosen = _chosen(search, grid, ("equal",) if quick else tuple(grid))
    rows = [row for name in (("equal",) if quick else grid) for row in _rows(search, chosen, name, grid[name])]
    scatter = min(each.scatter(chosen.choice) for each in trials)
    names = ", ".join(" and ".join(each) for each in stand_ins)
    return Outcome(
        f"{splits.name} without {' and '.join(never)}, training images alone; {names} stand in",
        _figures(chosen, scatter),
        rows,
        notes=[" ".join((__doc__ or "").split("\n\n", 1)[1].split())],
    )


def _far(spec: PreprocessSpec, quick: bool) -> NDArray[np.uint8]:
    """Images that show none of the classes: two sets in equal parts; quickly: noise."""
    from edge_sdk.data import load_images, prepare

    if quick:
        return np.random.default_rng(0).integers(0, 256, (20, *spec.shape), np.uint8)
    sets = [prepare(load_images(name, limit=200).train, spec).x for name in ("digits", "cifar10")]
    rng = np.random.default_rng(0)
    return np.concatenate([images[rng.permutation(len(images))[:_FAR]] for images in sets])


def _chosen(search: _Search, grid: dict[str, tuple[Any, ...]], settings: tuple[str, ...]) -> _Tried:
    choice = Choice(**{name: values[len(values) // 2] for name, values in grid.items()})
    for _ in range(_ROUNDS):
        before = choice
        for name in settings:
            worth = _NOTHING if name in _PREFERRED else 0.0
            choice = _best(search.alternatives(choice, name, grid[name]), worth).choice
            sys.stderr.write(f"{name}: {getattr(choice, name)}, score {search.tried(choice).score:.4f}\n")
        if choice == before:
            break
    return search.tried(choice)


def _best(tried: list[_Tried], worth: float) -> _Tried:
    """The first within `worth` of the best score; where all flag too many known images, the one that flags the fewest."""
    allowed = [each for each in tried if each.allowed]
    if not allowed:
        return min(tried, key=lambda each: each.shares.known_flagged)
    most = max(each.score for each in allowed)
    return next(each for each in allowed if each.score >= most - worth)


def _rows(search: _Search, chosen: _Tried, setting: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    found = search.alternatives(chosen.choice, setting, values)
    return [
        {
            "setting": setting.replace("_", " "),
            "value": getattr(each.choice, setting),
            "chosen": "*" if each.choice == chosen.choice else "",
            "score": each.score,
            "all right": each.shares.right,
            "taught right": each.shares.taught,
            "points lost": 100 * (each.shares.known_before - each.shares.known_after),
            "known flagged": each.shares.known_flagged,
            "worst class flagged": each.shares.worst_flagged,
            "stand-ins flagged": each.shares.new_flagged,
            "far flagged": each.shares.far_flagged,
            "taught flagged": each.shares.taught_flagged,
            "far flagged after": each.shares.far_flagged_after,
        }
        for each in found
    ]


def _figures(chosen: _Tried, scatter: float) -> list[Figure]:
    shares = chosen.shares
    return [
        Figure("score of what was chosen", chosen.score),
        Figure("accuracy on all classes afterwards", shares.right),
        Figure("accuracy on the stand-ins", shares.taught),
        Figure("accuracy lost on the known classes", shares.known_before - shares.known_after),
        Figure("known images flagged unknown", shares.known_flagged),
        Figure("stand-ins flagged before they are taught", shares.new_flagged),
        Figure("far images flagged", shares.far_flagged),
        Figure("least scatter within classes, share of the mean square", scatter),
    ]


if __name__ == "__main__":
    sys.exit(command("teaching_choice", measure))
