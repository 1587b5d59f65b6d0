"""python examples/video_file.py mugs.edge file:clip.mp4 clip.csv

Classifies every frame of a video file, in order, and writes label, score and latencies to a CSV file.
"""

import sys

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera
from edge_sdk_runtime.live import RateMeter, Seen
from edge_sdk_runtime.record import recording

bundle, source, table = sys.argv[1:]
with Classifier.load(bundle) as classifier, open_camera(source) as camera:
    classifier.warm_up()
    rate = RateMeter()
    with recording(table, classifier.pipeline.stages) as record:
        for frame in camera:
            result = classifier.classify(frame.image, frame.captured_ns)
            record(Seen(frame, result, rate.tick(), camera.counts))
    print(f"{table}: {camera.counts.delivered} frames")
