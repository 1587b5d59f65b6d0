"""Packed models: .tflite files whose weights are stored as entropy-coded streams, rebuilt here byte for byte.

`docs/codec.md` of this distribution specifies the format. The workstation writes it; this package only reads.
"""

from .container import PackedModel, is_packed, unpack

__all__ = ["PackedModel", "is_packed", "unpack"]
