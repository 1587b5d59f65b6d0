"""The sides of `against_peers`: scripts that classify a BGR frame, each in a process of its own, timed in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

__all__ = ["MEDIAPIPE", "Side", "SideProcess", "environment", "sides", "take_turns"]

MEDIAPIPE = "mediapipe==0.10.33"
"""The last release that sends no telemetry."""

_CACHE = Path(__file__).parent / ".cache" / "peers"

_HEAD = """
import json, sys
from time import perf_counter_ns
import numpy as np
model, frame = sys.argv[1], np.load(sys.argv[2])
"""
_TAIL = """
answer = int(classify(frame))
print(json.dumps(answer), flush=True)
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        start = perf_counter_ns()
        classify(frame)
        times.append(perf_counter_ns() - start)
    print(json.dumps(times), flush=True)
"""
_RUNTIME = """
from edge_sdk_runtime import Classifier
classifier = Classifier.load(model, form="fused")
def classify(frame):
    return classifier.classify(frame).class_index
"""
_NAIVE = """
import cv2
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=model)
interpreter.allocate_tensors()
input_details, output_details = interpreter.get_input_details(), interpreter.get_output_details()
_, height, width, _ = input_details[0]["shape"]
def classify(frame):
    image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, (width, height), interpolation=cv2.{interpolation})
    interpreter.set_tensor(input_details[0]["index"], np.expand_dims(image, axis=0))
    interpreter.invoke()
    return np.argmax(interpreter.get_tensor(output_details[0]["index"])[0])
"""
_MEDIAPIPE = """
import cv2
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=1)
classifier = vision.ImageClassifier.create_from_options(options)
rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
def classify(frame):
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data={data})
    return classifier.classify(image).classifications[0].categories[0].index
"""
_OPENCV_DNN = """
import cv2
network = cv2.dnn.readNetFromTFLite(model)
def classify(frame):
    network.setInput(cv2.dnn.blobFromImage(frame, 1.0, ({side}, {side}), swapRB=True))
    return np.argmax(network.forward())
"""


@dataclass(frozen=True)
class Side:
    """One way to classify a frame.

    Attributes:
        name: What the table calls it.
        resize: How it shrinks frames.
        script: Defines `classify(frame)`.
        model: The file it loads.
        python: The interpreter of Python that it runs with.
    """

    name: str
    resize: str
    script: str
    model: Path
    python: str = sys.executable


class SideProcess:
    """A side, loaded and ready; a context manager.

    Args:
        side: What runs.
        frame: A `.npy` file with the frame, `uint8 [height, width, 3]`, BGR.
    """

    def __init__(self, side: Side, frame: Path) -> None:
        self.side = side
        self.times: list[int] = []
        """Nanoseconds of every call so far."""
        self._process = subprocess.Popen(
            [side.python, "-c", _HEAD + side.script + _TAIL, side.model, frame],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if side.python == sys.executable else subprocess.DEVNULL,
            text=True,
        )
        self.answer: int | None = self._read()
        """The class that it gives the frame, or None where it ended instead."""

    @property
    def end(self) -> str:
        """How a process that gave no answer ended, in a few words."""
        _, said = self._process.communicate()
        last = (said or "").strip().splitlines()[-1:] or ["no message"]
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else last[0][:100]

    def call(self, times: int, *, keep: bool = True) -> None:
        """Classify the frame again and again."""
        assert self._process.stdin
        self._process.stdin.write(f"{times}\n")
        self._process.stdin.flush()
        measured = self._read()
        if keep:
            self.times += measured

    def __enter__(self) -> SideProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout
        for line in self._process.stdout:
            if line[:1] in "[0123456789":  # some libraries print of themselves
                return json.loads(line)
        return None


def sides(bundles: dict[str, Path], model: Path, side: int, mediapipe: str | None) -> list[Side]:
    """Every side; the runtime once per interpolation.

    Args:
        bundles: The bundle by interpolation.
        model: The .tflite file of its fused form.
        side: The model's input side, in pixels.
        mediapipe: The Python that has MediaPipe, or None.
    """
    found = [Side("edge-sdk-runtime", name, _RUNTIME, path) for name, path in bundles.items()]
    found += [
        Side("naive script", name, _NAIVE.format(interpolation=f"INTER_{name.upper()}"), model)
        for name in ("area", "linear")
    ]
    if mediapipe:
        from_camera = _MEDIAPIPE.format(data="cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)")
        found += [
            Side("MediaPipe", "linear", from_camera, model, mediapipe),
            Side("MediaPipe, frame in RGB", "linear", _MEDIAPIPE.format(data="rgb"), model, mediapipe),
        ]
    return [*found, Side("OpenCV DNN", "linear", _OPENCV_DNN.format(side=side), model)]


def take_turns(processes: Sequence[SideProcess], rounds: int, calls: int) -> list[float]:
    """Time every side in turn, in short rounds, so that a change of clock meets all alike.

    Args:
        processes: The sides, ready.
        rounds: Turns of each, after a tenth as many that warm up.
        calls: Calls per turn.

    Returns:
        Median nanoseconds of each.
    """
    for turn in range(-max(1, rounds // 10), rounds):
        for process in processes:
            process.call(calls, keep=turn >= 0)
    return [float(np.median(process.times)) for process in processes]


def environment(name: str, *packages: str) -> str | None:
    """The Python of an environment of its own with some packages, made once; None where they cannot be installed."""
    folder = _CACHE / name
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check", *packages]
        if subprocess.run(install, check=False, stdout=subprocess.DEVNULL).returncode:
            return None
        ready.touch()
    return str(python)
