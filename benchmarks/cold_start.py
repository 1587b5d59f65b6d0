"""Import, load and first classification of an image file: the runtime against bare NumPy, OpenCV and LiteRT.

Each side runs in a process of its own, in turn; the process times itself from its first statement, and its peak memory is
what Linux accounts to it. Both sides run from compiled bytecode, as pip leaves packages: a checkout whose bytecode is not kept
would be compiled anew at every start, so the runtime is copied and compiled first.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import edge_sdk_runtime
from edge_sdk_runtime import Interpolation

from .harness import Outcome, at_most, command
from .models import photograph, random_bundle

_SIDE = 96
_GOAL = 1.15
_WHY = "what is left is the runtime's own two dozen modules, json for the manifest, and SHA-256 over what it loads"

_RUNTIME = """
import time; begun = time.perf_counter()
import sys
from edge_sdk_runtime import Classifier, read_image
classifier = Classifier.load(sys.argv[1], form="fused")
answer = classifier.classify(read_image(sys.argv[3])).class_index
"""

_BARE = f"""
import time; begun = time.perf_counter()
import sys
import cv2, numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[2], num_threads=1)
interpreter.allocate_tensors()
image = interpreter.tensor(interpreter.get_input_details()[0]["index"])
scores = interpreter.tensor(interpreter.get_output_details()[0]["index"])
small = cv2.resize(cv2.imread(sys.argv[3]), ({_SIDE}, {_SIDE}), interpolation=cv2.INTER_AREA)
cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=image()[0])
interpreter.invoke()
answer = int(scores()[0].argmax())
"""

_REPORT = """
elapsed = time.perf_counter() - begun
import json
# Not getrusage: a child's figure there begins with what its parent had before exec.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([elapsed, peak, answer]))
"""


def measure(quick: bool) -> Outcome:
    """Median seconds and peak memory of both sides."""
    runs = 2 if quick else 40
    with tempfile.TemporaryDirectory() as name:
        files, packages = _files(Path(name)), _installed(Path(name) / "packages")
        for side in (_RUNTIME, _BARE):  # reads everything into the file cache once, for both alike
            _run(side, files, packages)
        pairs = [(_run(_RUNTIME, files, packages), _run(_BARE, files, packages)) for _ in range(runs)]
    assert len({answer for pair in pairs for _, _, answer in pair}) == 1, "both sides must classify alike"
    (ours, our_memory), (bare, bare_memory) = (_medians([pair[i] for pair in pairs]) for i in (0, 1))
    rows = [
        {"side": "edge-sdk-runtime", "seconds p50": ours, "peak RSS MB": our_memory},
        {"side": "bare NumPy + OpenCV + LiteRT", "seconds p50": bare, "peak RSS MB": bare_memory},
    ]
    figures = [
        at_most("import + load + first classification, runtime / bare, p50", ours / bare, _GOAL, why=_WHY),
        at_most("peak RSS above bare", our_memory - bare_memory, 8, "MB"),
    ]
    return Outcome(f"{_SIDE}×{_SIDE} int8 model, 640×480 JPEG, {runs} processes each, in turn", figures, rows)


def _files(folder: Path) -> list[str]:
    bundle = random_bundle(_SIDE, Interpolation.AREA)
    bundle.write(folder / "model.edge")
    (folder / "model.tflite").write_bytes(bundle.read("classifier.tflite"))
    cv2.imwrite(str(folder / "photo.jpg"), photograph())
    return [str(folder / name) for name in ("model.edge", "model.tflite", "photo.jpg")]


def _installed(folder: Path) -> str:
    """The runtime as pip would install it, in a folder that holds nothing else."""
    target = folder / edge_sdk_runtime.__name__
    shutil.copytree(Path(edge_sdk_runtime.__file__).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(target, quiet=1)
    return str(folder)


def _run(side: str, files: list[str], packages: str) -> tuple[float, float, int]:
    """Seconds, peak MB and the answer of one process."""
    finished = subprocess.run(
        [sys.executable, "-c", side + _REPORT, *files],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": packages},
    )
    seconds, kilobytes, answer = json.loads(finished.stdout)
    return seconds, kilobytes * 1024 / 1e6, answer


def _medians(measured: list[tuple[float, float, Any]]) -> tuple[float, float]:
    return float(np.median([m[0] for m in measured])), float(np.median([m[1] for m in measured]))


if __name__ == "__main__":
    sys.exit(command("cold_start", measure))
