"""python examples/classify_images.py edge-demo/digits.edge edge-demo/sample-*.png

Classifies image files on a device or a workstation; needs edge-sdk-runtime alone.
"""

import sys

from edge_sdk_runtime import Classifier, read_image

bundle, *images = sys.argv[1:]
with Classifier.load(bundle) as classifier:
    classifier.warm_up()
    for path in images:
        result = classifier.classify(read_image(path))
        print(f"{path}: {result.label} ({result.score:.1%}) in {result.total_ns / 1000:.0f} µs")
    for stage, latency in classifier.summary().items():
        print(f"{stage:12} p50 {latency.p50_ns / 1000:8.1f} µs   p95 {latency.p95_ns / 1000:8.1f} µs")
