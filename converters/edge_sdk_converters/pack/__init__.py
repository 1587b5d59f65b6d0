"""Packing .tflite files: weights as entropy-coded streams, the rest as a skeleton, rebuilt byte for byte by the runtime."""

from .model import Packed, PackedTensor, pack

__all__ = ["Packed", "PackedTensor", "pack"]
