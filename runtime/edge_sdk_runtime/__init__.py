"""Runs an .edge bundle on a device: preprocess, embed, compare, classify, with a time for every stage.

```python
from edge_sdk_runtime import Classifier, read_image

with Classifier.load("mugs.edge") as classifier:
    result = classifier.classify(read_image("photo.jpg"))
    print(result.label, result.score, result.total_ns)
```
"""

from .version import __version__

try:
    from .bundle import Bundle
    from .classifier import Classification, Classifier
    from .errors import (
        BundleCorruptError,
        BundleError,
        BundleVersionError,
        EdgeRuntimeError,
        FrameError,
        ImageReadError,
        InterpreterError,
        InterpreterUnavailableError,
        ModelUnsupportedError,
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
except ImportError as _reason:
    # Without NumPy or OpenCV there is only the doctor, which says what to do; whoever asks for more is told so.
    _cause, _received = _reason, str(_reason).strip().split("\n", maxsplit=1)[0]

    def __getattr__(name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        raise ImportError(
            f"NumPy and OpenCV must be importable. Received: {_received}. Run: edge-run doctor"
        ) from _cause


__all__ = [
    "Bundle",
    "BundleCorruptError",
    "BundleError",
    "BundleVersionError",
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
