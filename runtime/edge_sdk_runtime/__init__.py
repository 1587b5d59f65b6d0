"""Runs an .edge bundle on a device: preprocess, embed, compare, classify, with a time for every stage.

```python
from edge_sdk_runtime import Classifier, read_image

with Classifier.load("mugs.edge") as classifier:
    result = classifier.classify(read_image("photo.jpg"))
    print(result.label, result.score, result.total_ns)
```
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bundle import Bundle
    from .classifier import Classification, Classifier
    from .errors import (
        BenchError,
        BoardThrottledError,
        BundleCorruptError,
        BundleError,
        BundleVersionError,
        CameraEndedError,
        CameraError,
        CameraTimeoutError,
        CameraUnavailableError,
        EdgeRuntimeError,
        FrameError,
        ImageReadError,
        InterpreterError,
        InterpreterUnavailableError,
        ModelUnsupportedError,
        PreviewError,
        UsageError,
        VerificationError,
    )
    from .images import as_frame, decode_image, read_image
    from .interpreters import available_interpreters, choose_interpreter
    from .manifest import Manifest
    from .mlp import MlpHead
    from .preprocess import Color, Interpolation, Pixels, Preprocessor, PreprocessSpec, Region, ResizeMode
    from .similarity import Similarity, similarity_features
    from .timing import LatencySummary
    from .verify import Verification, verify
    from .version import __version__

__all__ = [
    "BenchError",
    "BoardThrottledError",
    "Bundle",
    "BundleCorruptError",
    "BundleError",
    "BundleVersionError",
    "CameraEndedError",
    "CameraError",
    "CameraTimeoutError",
    "CameraUnavailableError",
    "Classification",
    "Classifier",
    "Color",
    "EdgeRuntimeError",
    "FrameError",
    "ImageReadError",
    "Interpolation",
    "InterpreterError",
    "InterpreterUnavailableError",
    "LatencySummary",
    "Manifest",
    "MlpHead",
    "ModelUnsupportedError",
    "Pixels",
    "PreprocessSpec",
    "Preprocessor",
    "PreviewError",
    "Region",
    "ResizeMode",
    "Similarity",
    "UsageError",
    "Verification",
    "VerificationError",
    "__version__",
    "as_frame",
    "available_interpreters",
    "choose_interpreter",
    "decode_image",
    "read_image",
    "similarity_features",
    "verify",
]

_MODULES = {
    "bundle": ("Bundle",),
    "classifier": ("Classification", "Classifier"),
    "errors": (
        "BenchError",
        "BoardThrottledError",
        "BundleCorruptError",
        "BundleError",
        "BundleVersionError",
        "CameraEndedError",
        "CameraError",
        "CameraTimeoutError",
        "CameraUnavailableError",
        "EdgeRuntimeError",
        "FrameError",
        "ImageReadError",
        "InterpreterError",
        "InterpreterUnavailableError",
        "ModelUnsupportedError",
        "PreviewError",
        "UsageError",
        "VerificationError",
    ),
    "images": ("as_frame", "decode_image", "read_image"),
    "interpreters": ("available_interpreters", "choose_interpreter"),
    "manifest": ("Manifest",),
    "mlp": ("MlpHead",),
    "preprocess": ("Color", "Interpolation", "Pixels", "PreprocessSpec", "Preprocessor", "Region", "ResizeMode"),
    "similarity": ("Similarity", "similarity_features"),
    "timing": ("LatencySummary",),
    "verify": ("Verification", "verify"),
    "version": ("__version__",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """A public name, its module imported when it is first asked for: neither errors nor the doctor need NumPy and OpenCV."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ImportError as error:
        received = str(error).strip().split("\n", maxsplit=1)[0]
        raise ImportError(f"NumPy and OpenCV must be importable. Received: {received}. Run: edge-run doctor") from error
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package itself. Importing a module of it sets an attribute of that name: `verify` stays the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
