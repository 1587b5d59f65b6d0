"""python examples/pi_csi_camera.py mugs.edge picamera2:0

Classifies what a Raspberry Pi's CSI camera sees until Ctrl-C, then says how long each stage took. The camera hangs upside
down. It needs picamera2: sudo apt-get install --yes python3-picamera2
"""

import sys
from contextlib import suppress

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera

bundle, source = sys.argv[1:]
with Classifier.load(bundle) as classifier:
    classifier.warm_up()
    with suppress(KeyboardInterrupt), open_camera(source, size=(640, 480), fps=30, flip="rotate-180") as camera:
        for frame in camera:
            result = classifier.classify(frame.image, frame.captured_ns)
            print(f"{result.label} ({result.score:.1%})")
    for stage, latency in classifier.summary().items():
        print(f"{stage:12} p50 {latency.p50_ns / 1000:8.1f} µs   p95 {latency.p95_ns / 1000:8.1f} µs")
