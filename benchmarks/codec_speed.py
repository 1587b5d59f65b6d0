"""How fast and in how much memory a packed model is rebuilt, on one core, tensor by tensor into a file.

MobileNetV2 at width 1.3 is 21 MB in float32. Its weights are random, since speed does not depend on what was learnt, and are set
in the exported file: sparse and shared as pruning and clustering leave them, shared alone, and neither. Memory is measured in a
process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .harness import Figure, Outcome, at_least, at_most, command

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk_converters.pack import Packed

_BITS, _SPARSITY = 5, 0.8
_MB = 1e6

_MEMORY = """
import pathlib, sys
from edge_sdk_runtime.codec import PackedModel
from edge_sdk_runtime.files import written_atomically

def kilobytes(name):
    status = pathlib.Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

PackedModel.read(pathlib.Path(sys.argv[2]).read_bytes()).to_bytes()  # whatever is allocated once is there
packed = PackedModel.read(pathlib.Path(sys.argv[1]).read_bytes())
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS")
with written_atomically(sys.argv[1] + ".tflite") as file:
    packed.write_to(file.write)
print(1024 * (kilobytes("VmHWM") - before))
"""
"""Peak memory, in bytes, over what the process held before, the packed file included."""


def measure(quick: bool) -> Outcome:
    """Pack the same network with three kinds of weights (quickly: one), and rebuild each of them again and again."""
    exported = _exported(quick)
    kinds = {
        f"{_SPARSITY:.0%} zeros, {1 << _BITS} values": (_SPARSITY, True),
        f"no zeros, {1 << _BITS} values": (0.0, True),
        "no zeros, all different": (0.0, False),
    }
    chosen = list(kinds.items())[: 1 if quick else None]
    rows = [_row(name, _with_weights(exported, *kind), quick) for name, kind in chosen]
    first = rows[0]
    figures = [
        at_least("rebuilt per second of processor time, sparse and shared", first["MB/s of processor"], 60, "MB/s"),
        Figure("the same by the clock, fastest run", first["MB/s fastest"], "MB/s"),
        at_most("extra memory / largest tensor", first["extra memory MB"] / first["largest tensor MB"], 2),
        at_most("coded streams / first-order entropy", first["streams / entropy"], 1.03),
    ]
    network = "Two convolutions" if quick else "MobileNetV2 × 1.3"
    data = f"{network}, {first['plain MB']:.1f} MB, {first['runs']} runs each, one core, hash included"
    notes = [
        "MB/s are of the rebuilt .tflite file. Processor time is that of one core, which the other processes of a shared machine cannot "
        "stretch; by the clock, the fastest and the median run stand beside it."
    ]
    return Outcome(data, figures, rows, notes=notes)


def _exported(quick: bool) -> bytes:
    """The network in float32; quickly, one of three layers, which is exported in a second."""
    import keras

    from edge_sdk_converters.tflite import export_tflite

    keras.utils.set_random_seed(0)
    side = 32 if quick else 224
    image = keras.Input((side, side, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    if not quick:
        return export_tflite(
            keras.applications.MobileNetV2((side, side, 3), alpha=1.3, weights=None, input_tensor=x, classes=1000)
        )
    for filters in (64, 256):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    return export_tflite(keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x))))


def _with_weights(tflite: bytes, sparsity: float, shared: bool) -> bytes:
    """The file with other weights in its kernels, normally distributed as before."""
    from edge_sdk_converters.pack.runs import find_runs

    rng, content = np.random.default_rng(0), bytearray(tflite)
    for run in find_runs(tflite, 256):
        if len(run.shape) > 1:
            weights = rng.normal(0, 0.05, run.shape).astype(np.float32)
            kept = np.abs(weights) >= np.quantile(np.abs(weights), sparsity)
            weights[kept] = _shared(weights[kept]) if shared else weights[kept]
            weights[~kept] = 0
            content[run.offset : run.offset + run.size_bytes] = weights.tobytes()
    return bytes(content)


def _shared(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each weight, `[N]`, replaced by the mean of its share of the distribution: as many shares as there are values."""
    edges = np.quantile(weights, np.linspace(0, 1, (1 << _BITS) + 1)[1:-1])
    shares = np.searchsorted(edges, weights)
    sums = np.bincount(shares, weights, 1 << _BITS)
    means = sums / np.maximum(1, np.bincount(shares, minlength=1 << _BITS))
    return means.astype(np.float32)[shares]


def _row(name: str, tflite: bytes, quick: bool) -> dict[str, Any]:
    from edge_sdk_converters.pack import pack

    begun = time.process_time()
    packed = pack(tflite)
    pack_s = time.process_time() - begun
    runs = 3 if quick else 15
    fastest, median, processor = _rebuild_s(packed.content, runs)
    largest = max(tensor.plain_bytes for tensor in packed.tensors)
    return {
        "weights": name,
        "plain MB": len(tflite) / _MB,
        "packed MB": packed.size_bytes / _MB,
        "ratio": len(tflite) / packed.size_bytes,
        "streams / entropy": packed.stream_bytes / packed.bound_bytes,
        "MB/s of processor": len(tflite) / _MB / processor,
        "MB/s fastest": len(tflite) / _MB / fastest,
        "MB/s median": len(tflite) / _MB / median,
        "largest tensor MB": largest / _MB,
        "extra memory MB": _extra_bytes(packed) / _MB,
        "packing s": pack_s,
        "runs": runs,
    }


def _rebuild_s(content: bytes, runs: int) -> tuple[float, float, float]:
    """Seconds to rebuild into a file: by the clock the fewest and the median, and the median of processor time."""
    from edge_sdk_runtime.codec import PackedModel

    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs + 1):
            begun, worked = time.perf_counter(), time.process_time()
            with Path(folder, "model.tflite").open("wb") as file:
                PackedModel.read(content).write_to(file.write)
            times.append((time.perf_counter() - begun, time.process_time() - worked))
    clock, processor = np.array(times[1:]).T  # the first warms up
    return float(clock.min()), float(np.median(clock)), float(np.median(processor))


def _extra_bytes(packed: Packed) -> int:
    """How much the peak of a process's memory rises while it rebuilds the model into a file."""
    with tempfile.TemporaryDirectory() as folder:
        model, small = Path(folder, "model"), Path(folder, "small")
        model.write_bytes(packed.content)
        small.write_bytes(_small())
        arguments = [sys.executable, "-c", _MEMORY, str(model), str(small)]
        return int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def _small() -> bytes:
    """A packed file without tensors."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from edge_sdk_converters.pack import pack

    builder = flatbuffers.Builder()
    builder.Finish(schema.ModelT().Pack(builder), b"TFL3")
    return pack(bytes(builder.Output())).content


if __name__ == "__main__":
    sys.exit(command("codec_speed", measure))
