"""Boards made of a few small files, and a bundle of real models that needs no TensorFlow to make."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_sdk_converters.probe.graph import Graph
from edge_sdk_runtime import Bundle
from edge_sdk_runtime.bench.power import Power
from edge_sdk_runtime.bench.report import Measurement
from edge_sdk_runtime.timing import summarize
from tests.runtime.helpers import GAIN, SPEC, make_bundle

PLAIN_PC = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 3.00GHz\n",
    "proc/meminfo": "MemTotal:        1000 kB\nMemFree:  5 kB\n",
    "proc/loadavg": "0.25 0.10 0.05 1/234 5678\n",
    "proc/sys/kernel/osrelease": "6.1.0\n",
}
_ARM = "processor\t: {}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: {}\n\n"
PI = {
    **PLAIN_PC,
    "proc/cpuinfo": "".join(_ARM.format(i, "0xd08") for i in range(4)) + "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "600000\n",
    "usr/bin/vcgencmd": "#!/bin/sh\n[ $1 = get_throttled ] && echo throttled=0x0\n",
}
THROTTLED_PI = {**PI, "usr/bin/vcgencmd": "#!/bin/sh\necho throttled=0x50005\n"}
JETSON = {
    **PLAIN_PC,
    "proc/cpuinfo": "".join(_ARM.format(i, "0xd42") for i in range(6)),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "usr/sbin/nvpmodel": "#!/bin/sh\necho 'NV Power Mode: 15W'; echo 0\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/thermal/cooling_device1/type": "cpu-throttle-alert\n",
    "sys/class/thermal/cooling_device1/cur_state": "0\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51000\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-256000\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in1_input": "5000\n",
    "sys/class/hwmon/hwmon1/curr1_input": "1200\n",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon1/in2_input": "5000\n",
    "sys/class/hwmon/hwmon1/curr2_input": "400\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "sys/class/hwmon/hwmon2/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon2/oc1_event_cnt": "3\n",
}


def board(root: Path, files: Mapping[str, str]) -> Path:
    """Lay a board's files out below a folder; what begins like a script can be run."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    return root


@functools.cache
def colour_bundle() -> Bundle:
    """The colour bundle of the helpers, its models put together by hand."""
    return make_bundle({"encoder.tflite": _model(classifies=False), "classifier.tflite": _model(classifies=True)})


def _model(classifies: bool) -> bytes:
    graph = Graph()
    image, values = graph.tensor((1, *SPEC.shape), "uint8"), graph.tensor((1, *SPEC.shape))
    axes = graph.tensor((2,), "int32", np.array([1, 2], np.int32).tobytes())
    means, scale = graph.tensor((1, 3)), graph.tensor((), data=np.float32(1 / 255).tobytes())
    features = graph.tensor((1, 3))
    graph.operator("CAST", [image], values)
    graph.operator("MEAN", [values, axes], means, "ReducerOptions", {"keepDims": False})
    graph.operator("MUL", [means, scale], features, "MulOptions")
    if not classifies:
        return graph.file([image], [features])
    scores = graph.tensor((1, 3))
    graph.operator("SOFTMAX", [features], scores, "SoftmaxOptions", {"beta": GAIN})
    return graph.file([image], [scores])


def measurement(
    total_ns: list[int], rounds: int = 3, form: str = "fused", threads: int = 1, **changes: object
) -> Measurement:
    """A measurement of one stage that takes all of the time."""
    part = len(total_ns) // rounds
    medians = tuple(summarize(total_ns[i * part : (i + 1) * part]).p50_ns for i in range(rounds))
    stages = ("preprocess", "total")
    values: dict[str, object] = {
        "form": form,
        "threads": threads,
        "interpreter": "litert 2.3.0",
        "runs": len(total_ns),
        "stages": dict.fromkeys(stages, summarize(total_ns)),
        "import_ns": 100_000_000,
        "load_ns": 20_000_000,
        "first_ns": 1_000_000,
        "peak_rss_bytes": 68_000_000,
        "runs_per_s": 50.0,
        "power": Power(6.0, 0.12, {"VDD_IN": 6.0}),
        "round_p50_ns": dict.fromkeys(stages, medians),
        "sample_ns": dict.fromkeys(stages, tuple(total_ns)),
    }
    return Measurement(**{**values, **changes})  # type: ignore[arg-type]
