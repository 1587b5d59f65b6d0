"""python examples/teach_a_class.py mugs.edge "blue mug" usb:0

Shows the bundle 20 frames of a camera as a class; the version before stays beside it, for edge-run teach mugs.edge --undo.
"""

import sys
from itertools import islice

from edge_sdk_runtime.cameras import open_camera
from edge_sdk_runtime.teach import teach_file

path, label, source = sys.argv[1:]
with open_camera(source, fps=2) as camera:
    report = teach_file(path, {label: (frame.image for frame in islice(camera, 20))}).report
for lesson in report.lessons:
    print(f"{lesson.label}: {lesson.images} images, estimated accuracy {lesson.accuracy}")
print(f"other classes, on remembered examples: {report.before} before, {report.remembered} after")
