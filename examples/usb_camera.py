"""python examples/usb_camera.py mugs.edge usb:0

Classifies what a USB camera sees until Ctrl-C: always the newest frame, however long a classification takes.
"""

import sys
from contextlib import suppress

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera

bundle, source = sys.argv[1:]
with suppress(KeyboardInterrupt), Classifier.load(bundle) as classifier, open_camera(source, size=(640, 480)) as camera:
    print(f"{camera.address} gives {camera.grant}")
    classifier.warm_up()
    for frame in camera:
        result = classifier.classify(frame.image, frame.captured_ns)
        print(f"{result.label} ({result.score:.1%}) of frame {frame.sequence}, {camera.counts.dropped} dropped")
