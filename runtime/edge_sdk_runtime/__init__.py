"""Runs an .edge bundle on a device: preprocess, embed, compare, classify, with a time for every stage.

```python
from edge_sdk_runtime import Classifier, read_image

with Classifier.load("mugs.edge") as classifier:
    result = classifier.classify(read_image("photo.jpg"))
    print(result.label, result.score, result.total_ns)
```
"""

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
    UsageError,
    VerificationError,
)
from .images import as_frame, decode_image, read_image
from .interpreters import available_interpreters, choose_interpreter
from .manifest import Manifest
from .mlp import MlpHead
from .preprocess import Color, Interpolation, Preprocessor, PreprocessSpec, ResizeMode
from .similarity import Similarity, similarity_features
from .timing import LatencySummary
from .verify import Verification, verify
from .version import __version__

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
    "PreprocessSpec",
    "Preprocessor",
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
