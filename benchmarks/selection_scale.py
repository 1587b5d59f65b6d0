"""How fast and in how much memory samples are chosen from a stream of a million embeddings, 216 numbers each.

Each strategy runs in a process of its own with one thread, which makes the blocks, shows them to the selector and asks for 4,320
samples, as published. The selector alone is counted: making a block costs more than seeing it. Peak memory is that of the
whole process, once for 100,000 and once for a million embeddings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from .harness import Figure, Outcome, at_most, command

_WIDTH, _COUNT = 216, 4320
_FEW, _MANY = 100_000, 1_000_000
_QUICK = (16_384, 32_768)

_CHILD = """
import json, pathlib, sys, time
import numpy as np
from edge_sdk.learn.selection import SelectionConfig, Strategy, make_selector

strategy, classes, samples, width, count, block, reservoir = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(0)
config = SelectionConfig(Strategy(strategy), count, classes or None, reservoir=reservoir)
selector, seconds, processor = make_selector(config), 0.0, 0.0
for start in range(0, samples, block):
    embeddings = rng.standard_normal((min(block, samples - start), width), np.float32)
    labels = np.arange(start, start + len(embeddings)) % max(1, classes)
    begun, worked = time.perf_counter(), time.process_time()
    selector.add(embeddings, start, labels)
    seconds, processor = seconds + time.perf_counter() - begun, processor + time.process_time() - worked
begun, worked = time.perf_counter(), time.process_time()
chosen = selector.result(count)
seconds, processor = seconds + time.perf_counter() - begun, processor + time.process_time() - worked
assert len(set(chosen.tolist())) == count
status = pathlib.Path("/proc/self/status").read_text()
peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps([seconds, processor, peak * 1024 / 1e6]))
"""

_FORMS = (
    ("top-activation", 0),
    ("top-activation", 10),
    ("random", 0),
    ("farthest-first", 0),
    ("kmeans", 0),
)


def measure(quick: bool) -> Outcome:
    """Every strategy on few and on many embeddings; quickly, top activation on a thirtieth of them."""
    few, many = _QUICK if quick else (_FEW, _MANY)
    count, reservoir = (432, 1024) if quick else (_COUNT, 2**16)
    rows = [_row(*form, few, many, count, reservoir) for form in (_FORMS[:1] if quick else _FORMS)]
    first = rows[0]
    figures = [
        at_most("top activation: seconds of one core for all", first["processor s"], 20, "s"),
        Figure("the same by the clock", first["seconds"], "s"),
        at_most("top activation: peak memory of the process", first["peak MB"], 300, "MB"),
        at_most("peak memory, all embeddings / a tenth of them", first["peak MB"] / first["peak MB, a tenth"], 1.05),
    ]
    data = f"{many:,} × {_WIDTH} float32, normally distributed, in blocks of 8,192; {count:,} chosen"
    notes = [
        "The making of the embeddings is not counted. Seconds of one core are processor time of a process with one thread, which other "
        "processes of a shared machine cannot stretch. Peak memory holds the interpreter, NumPy and the block of embeddings too.",
        "k-means and farthest-first choose from a uniform sample of 65,536 embeddings (57 MB), top activation and random from all.",
    ]
    return Outcome(data, figures, rows, notes=notes)


def _row(strategy: str, classes: int, few: int, many: int, count: int, reservoir: int) -> dict[str, Any]:
    seconds, processor, peak = _run(strategy, classes, many, count, reservoir)
    _, _, before = _run(strategy, classes, few, count, reservoir)
    return {
        "strategy": f"{strategy}{', balanced' if classes else ''}",
        "seconds": seconds,
        "processor s": processor,
        "peak MB": peak,
        "peak MB, a tenth": before,
    }


def _run(strategy: str, classes: int, samples: int, count: int, reservoir: int) -> tuple[float, float, float]:
    """Seconds by the clock and of the processor, and peak megabytes, of one process with one thread."""
    numbers = (classes, samples, _WIDTH, count, 8192, reservoir)
    arguments = [sys.executable, "-c", _CHILD, strategy, *map(str, numbers)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    finished = subprocess.run(arguments, capture_output=True, text=True, check=True, env=alone)
    seconds, processor, peak = json.loads(finished.stdout)
    return seconds, processor, peak


if __name__ == "__main__":
    sys.exit(command("selection_scale", measure))
