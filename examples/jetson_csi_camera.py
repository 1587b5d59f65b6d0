"""python examples/jetson_csi_camera.py mugs.edge jetson-csi:0 :8080

Classifies what a Jetson's CSI camera sees until Ctrl-C, and serves a page with the picture meanwhile. It needs an
OpenCV with GStreamer: sudo apt-get install --yes python3-opencv
"""

import sys
from contextlib import suppress

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera
from edge_sdk_runtime.live import RateMeter, Seen
from edge_sdk_runtime.preview import Preview, PreviewAddress, PreviewState

bundle, source, where = sys.argv[1:]
with suppress(KeyboardInterrupt), Classifier.load(bundle) as classifier, open_camera(source, fps=30) as camera:
    classifier.warm_up()
    shown, rate = PreviewState(bundle, camera.address, classifier.clock), RateMeter()
    with Preview(shown, PreviewAddress.parse(where)) as preview:
        print(f"Preview: {preview.url}")
        for frame in camera:
            result = classifier.classify(frame.image, frame.captured_ns)
            shown.publish(Seen(frame, result, rate.tick(), camera.counts))
