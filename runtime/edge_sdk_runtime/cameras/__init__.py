"""Cameras that give the newest frame, with the moment at which it was captured.

```python
from edge_sdk_runtime.cameras import open_camera

with open_camera("usb:0") as camera:
    frame = camera.read()
    print(frame.image.shape, frame.sequence, camera.counts.dropped)
```
"""

from .base import Camera, CameraCounts, Frame, Grant, Reader, Shot
from .opening import open_camera, open_reader
from .sources import CameraSettings, Flip, Source, parse_size, parse_source

__all__ = [
    "Camera",
    "CameraCounts",
    "CameraSettings",
    "Flip",
    "Frame",
    "Grant",
    "Reader",
    "Shot",
    "Source",
    "open_camera",
    "open_reader",
    "parse_size",
    "parse_source",
]
