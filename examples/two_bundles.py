"""python examples/two_bundles.py mugs.edge hands.edge usb:0

Shows one camera's frames to two classifiers until Ctrl-C; each has its own preprocessing, models and latencies.
"""

import sys
from contextlib import suppress

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera

first_bundle, second_bundle, source = sys.argv[1:]
with (
    suppress(KeyboardInterrupt),
    Classifier.load(first_bundle) as first,
    Classifier.load(second_bundle) as second,
    open_camera(source) as camera,
):
    first.warm_up()
    second.warm_up()
    for frame in camera:
        one, other = (classifier.classify(frame.image, frame.captured_ns) for classifier in (first, second))
        print(f"{one.label} ({one.score:.1%}), {other.label} ({other.score:.1%})")
