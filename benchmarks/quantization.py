"""What every quantization buys and costs: a Fashion-MNIST and a CIFAR-10 classifier in every mode, on both runtimes.

Accuracy is of the test images, on the interpreter, looked at once; calibration and fine-tuning saw training images alone. Latency
is the median of bursts that all files take in turn, on LiteRT in this process and on tflite-runtime 2.14 in another, one thread.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_converters.quantize.config import AwareConfig, QuantizeConfig, QuantizeMode
from edge_sdk_runtime.files import write_atomically
from edge_sdk_runtime.interpreters.tflite import LITERT

from .harness import Figure, Outcome, at_least, at_most, command
from .second_runtime import ENVIRONMENT, SecondRuntime, burst_ns
from .sets import learning_set, said_beside
from .trained import cache

if TYPE_CHECKING:
    import keras

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

_TUNED = " fine-tuned"
_TUNED_MODES = (QuantizeMode.STATIC_INT8, QuantizeMode.WEIGHTS_INT4)
_QUICK_MODES = (QuantizeMode.FLOAT32, *_TUNED_MODES)
_TUNING_IMAGES = 15_000
_BURSTS, _RUNS = 12, 10


@dataclass(frozen=True)
class Subject:
    """A classifier to quantize.

    Attributes:
        data: Name of its image set.
        train: Makes it, or takes it from the cache.
        goal: Test accuracy that it should have in float32; None for no goal.
    """

    data: str
    train: Callable[[LearningData, bool], keras.Model]
    goal: float | None


def measure(quick: bool) -> Outcome:
    """Quantize in every way, test once, time in turn; quickly, one classifier of handwritten digits."""
    rows: list[dict[str, Any]] = []
    subjects = [dataclasses.replace(SUBJECTS[0], data="digits", goal=None)] if quick else SUBJECTS
    for subject in subjects:
        data, test = learning_set(subject.data, limit=10 if quick else None)
        model = subject.train(data, quick)
        files = _files(subject.data, model, data, quick)
        times = _p50_ms(files, 2 if quick else _BURSTS, 2 if quick else _RUNS)
        rows += [_row(subject.data, name, content, test, times[name]) for name, content in files.items()]
    figures = [figure for subject in subjects for figure in _figures(subject, rows)]
    notes = [
        f"fine-tuned: one epoch over at most {_TUNING_IMAGES:,} training images, taught by the float network",
        "p50 of –: the runtime refuses the file, or is not installed",
        *said_beside(*(subject.data for subject in subjects)),
    ]
    return Outcome("scikit-learn's digits" if quick else "Fashion-MNIST, CIFAR-10", figures, rows, notes=notes)


def _vgg(data: LearningData, quick: bool) -> keras.Model:
    from .vgg import trained_vgg

    return trained_vgg(data, 10, 1 if quick else 16, quick=quick)


def _plain(data: LearningData, quick: bool) -> keras.Model:
    from .light_path import PATHS, trained_base

    return trained_base(next(path for path in PATHS if path.data == "fashion_mnist"), data, quick)


SUBJECTS = (Subject("fashion_mnist", _plain, 0.85), Subject("cifar10", _vgg, None))
"""What is quantized; the first also stands for them all where it has to be quick."""


def _files(name: str, model: keras.Model, data: LearningData, quick: bool) -> dict[str, bytes]:
    """The classifier in every mode, and fine-tuned for some of them."""
    from edge_sdk_converters.quantize import quantize
    from edge_sdk_converters.tflite import export_tflite

    exported = export_tflite(model)
    modes = _QUICK_MODES if quick else tuple(QuantizeMode)
    files = {mode.value: quantize(exported, QuantizeConfig(mode), data.train.x) for mode in modes}
    for mode in _TUNED_MODES[: 1 if quick else None]:
        config = QuantizeConfig(mode, aware=AwareConfig(epochs=1, min_steps=0))
        settings: dict[str, object] = {
            "config": repr(config),
            "images": _TUNING_IMAGES,
            "float": hashlib.sha256(exported).hexdigest(),
        }
        files[mode.value + _TUNED] = _kept(
            f"{name}-{mode.value}", None if quick else settings, partial(_tuned, model, config, data)
        )
    return files


def _tuned(model: keras.Model, config: QuantizeConfig, data: LearningData) -> bytes:
    from edge_sdk_converters.quantize import quantize
    from edge_sdk_converters.quantize.aware import tune_for_quantization
    from edge_sdk_converters.tflite import export_tflite
    from edge_sdk_converters.training import Examples

    fewer = Examples(data.train.x[:_TUNING_IMAGES], data.train.y[:_TUNING_IMAGES])
    result = tune_for_quantization(model, model, config, dataclasses.replace(data, train=fewer), progress=_tell)
    return quantize(export_tflite(result.model), config, data.train.x, ranges=result.ranges)


def _kept(name: str, settings: Mapping[str, object] | None, make: Callable[[], bytes]) -> bytes:
    """A file from the cache where one of the same settings is there; made anew where there are no settings."""
    if settings is None:
        return make()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    path = cache() / f"quantized-{name}-{digest}.tflite"
    if not path.exists():
        write_atomically(path, make())
    return path.read_bytes()


def _p50_ms(files: Mapping[str, bytes], bursts: int, runs: int) -> dict[str, tuple[float | None, float | None]]:
    """Median milliseconds of each file on LiteRT and on tflite-runtime; None where it does not run."""
    first = {name: LITERT.load(content, threads=1) for name, content in files.items()}
    times: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in files}
    with _written(files) as paths, SecondRuntime() if ENVIRONMENT.exists() else nullcontext() as second:
        for _ in range(bursts):
            for name, (here, there) in times.items():
                here.extend(burst_ns(first[name], runs))
                there.extend(second.burst(paths[name], runs) if second else ())
    return {name: (_median_ms(here), _median_ms(there)) for name, (here, there) in times.items()}


@contextmanager
def _written(files: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{index}.tflite") for index, name in enumerate(files)}
        for name, content in files.items():
            paths[name].write_bytes(content)
        yield paths


def _median_ms(times_ns: list[int]) -> float | None:
    return float(np.median(times_ns)) / 1e6 if times_ns else None


def _row(
    data: str, mode: str, content: bytes, test: Examples, p50_ms: tuple[float | None, float | None]
) -> dict[str, Any]:
    from edge_sdk_converters.pack import pack
    from edge_sdk_converters.quantize.sensitivity import accuracy_of

    begun = time.perf_counter()
    accuracy = accuracy_of(content, test)
    sys.stderr.write(f"{data}, {mode}: {accuracy:.4f} in {time.perf_counter() - begun:.0f} s\n")
    return {
        "data": data,
        "mode": mode,
        "accuracy": accuracy,
        ".tflite bytes": len(content),
        "packed bytes": pack(content).size_bytes,
        "p50 ms, LiteRT": "–" if p50_ms[0] is None else p50_ms[0],
        "p50 ms, tflite-runtime": "–" if p50_ms[1] is None else p50_ms[1],
    }


def _figures(subject: Subject, rows: list[dict[str, Any]]) -> list[Figure]:
    mine = {row["mode"]: row for row in rows if row["data"] == subject.data}
    whole, static = mine["float32"], mine["static-int8"]
    name = f"{subject.data}: test accuracy, float32"
    first = Figure(name, whole["accuracy"]) if subject.goal is None else at_least(name, whole["accuracy"], subject.goal)
    lost = at_most(f"{subject.data}: accuracy lost, static-int8", whole["accuracy"] - static["accuracy"], 0.005)
    others = [
        Figure(f"{subject.data}: accuracy lost, {mode}", whole["accuracy"] - mine[mode]["accuracy"])
        for mode in mine
        if "int4" in mode
    ]
    smaller = Figure(
        f"{subject.data}: .tflite bytes, float32 / static-int8", whole[".tflite bytes"] / static[".tflite bytes"]
    )
    return [first, lost, *others, smaller]


def _tell(done: int, planned: int, figures: dict[str, float]) -> None:
    values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} fine-tune: epoch {done} of {planned}: {values}\n")


if __name__ == "__main__":
    sys.exit(command("quantization", measure))
