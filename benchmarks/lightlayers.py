"""LightLayers' published tables trained again with the published settings: ours beside theirs, row by row.

Every training has a process and a thread of its own, so that its numbers do not depend on how many run side by side. Finished
trainings are kept in `~/.cache/edge-sdk/benchmarks`: an interrupted run goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from .harness import Figure, Outcome, at_least, command
from .light_tables import (
    GRAY,
    TABLES,
    Cell,
    Method,
    Published,
    Result,
    Setting,
    keep_result,
    kept_result,
    missing,
    run_cell,
)

_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}

_LAYOUT = (
    "The CIFAR layout is the one that gives the published counts: three residual blocks of 16, 32 and 64 filters with a 1×1 "
    "convolution on the shortcut; the four blocks of the published description give others."
)

_LAST_EPOCH = (
    "Each accuracy is that of one seed after the last epoch. At a constant learning rate it moves by about a point from one epoch "
    "to the next; the published description does not say which epoch or how many runs its figures are of."
)

_COUNTS_ALONE = (
    "Rows whose published accuracy is missing (MNIST, k=5 and 6) are not trained; a test holds their parameter counts."
)

Table = tuple[Setting, tuple[Published, ...]]


def measure(quick: bool) -> Outcome:
    """Train every row and compare; quickly, one row for an epoch on 200 handwritten digits."""
    tables, absent = (list(_QUICK), []) if quick else _loadable(TABLES)
    tables = [(setting, tuple(row for row in rows if quick or row.accuracy is not None)) for setting, rows in tables]
    cells = [Cell(setting, row.method, row.k) for setting, rows in tables for row in rows]
    results = _trained(cells, _tell, workers=1) if quick else _kept_or_trained(cells)
    rows = [_row(setting, row, results[Cell(setting, row.method, row.k)]) for setting, rows in tables for row in rows]
    notes = [
        _LAYOUT,
        _COUNTS_ALONE,
        _LAST_EPOCH,
        *dict.fromkeys(result.note for result in results.values() if result.note),
        *absent,
    ]
    data = (
        "scikit-learn's digits, an epoch" if quick else "all training images, no validation split, published settings"
    )
    return Outcome(data, _figures(rows), rows, notes=notes)


_QUICK: tuple[Table, ...] = (
    (replace(GRAY, data="digits", epochs=1, limit=20), (Published(Method.LIGHT, 3, 6135, None),)),
)


def _loadable(tables: Sequence[Table]) -> tuple[list[Table], list[str]]:
    """The tables whose data is here or can be downloaded, and a note on each of the others."""
    reasons = {setting: missing(setting) for setting, _ in tables}
    here = [table for table in tables if not reasons[table[0]]]
    return here, [f"{_NAMES[setting.data]} was not run: {reason}" for setting, reason in reasons.items() if reason]


def _kept_or_trained(cells: Sequence[Cell]) -> Mapping[Cell, Result]:
    """What every cell came to, trained where no earlier run has."""
    kept = {cell: result for cell in cells if (result := kept_result(cell)) is not None}

    def keep(cell: Cell, result: Result) -> None:
        keep_result(cell, result)
        _tell(cell, result)

    return {**kept, **_trained([cell for cell in cells if cell not in kept], keep, len(os.sched_getaffinity(0)))}


def _trained(cells: Sequence[Cell], finished: Callable[[Cell, Result], None], workers: int) -> Mapping[Cell, Result]:
    """What every cell comes to; `finished` is told about each at once."""
    results: dict[Cell, Result] = {}
    context = multiprocessing.get_context("spawn")  # a forked TensorFlow hangs
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        running = {pool.submit(run_cell, cell): cell for cell in cells}
        try:
            for future in as_completed(running):
                results[running[future]] = future.result()
                finished(running[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def _tell(cell: Cell, result: Result) -> None:
    sys.stderr.write(
        f"{cell.setting.data}, {cell.method.value} k={cell.k}: {result.accuracy:.4f} in {result.seconds:.0f} s\n"
    )


def _one_thread() -> None:
    """Said before TensorFlow is imported."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"


def _row(setting: Setting, row: Published, result: Result) -> dict[str, Any]:
    return {
        "data": _NAMES.get(setting.data, setting.data),
        "method": row.name,
        "params": result.parameters,
        "published params": row.parameters,
        "accuracy": result.accuracy,
        "published": "–" if row.accuracy is None else row.accuracy,
    }


def _figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    equal = sum(row["params"] == row["published params"] for row in rows)
    figures = [at_least("rows with exactly the published parameters", equal, len(rows))]
    for data in dict.fromkeys(row["data"] for row in rows):
        gains = [row["accuracy"] - row["published"] for row in rows if row["data"] == data and row["published"] != "–"]
        if gains:
            figures.append(
                Figure(
                    f"{data}: accuracy above the published one, mean of {len(gains)} rows",
                    100 * sum(gains) / len(gains),
                    "points",
                )
            )
    return figures


if __name__ == "__main__":
    sys.exit(command("lightlayers", measure))
