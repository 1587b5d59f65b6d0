"""python examples/watch_folder.py mugs.edge watch:incoming

Classifies every picture that is put into a folder, until Ctrl-C; with images:incoming, those that are there, and ends.
"""

import sys
from contextlib import suppress

from edge_sdk_runtime import Classifier
from edge_sdk_runtime.cameras import open_camera

bundle, source = sys.argv[1:]
with suppress(KeyboardInterrupt), Classifier.load(bundle) as classifier, open_camera(source) as camera:
    classifier.warm_up()
    for frame in camera:
        result = classifier.classify(frame.image)
        print(f"{frame.name}: {result.label} ({result.score:.1%})")
    print(f"{camera.counts.unreadable} unreadable")
