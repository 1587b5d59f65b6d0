"""Every error the runtime raises on purpose.

EdgeRuntimeError
├── BenchError                   (RuntimeError) a measuring process that did not finish
├── BoardThrottledError          (RuntimeError) a measurement that means nothing, since something limited the clock
├── BundleError                  (ValueError)
│   ├── BundleCorruptError       truncated, altered, or not a bundle at all
│   ├── BundleVersionError       written by a newer SDK than this runtime understands
│   └── ModelUnsupportedError    (InterpreterError too) a model that the installed interpreter is known not to run
├── CameraError                  (OSError)      a camera that failed, or was unplugged and did not come back
│   ├── CameraEndedError         (EOFError too) a file or folder that has no further frame
│   ├── CameraTimeoutError       (TimeoutError too) no frame came in time
│   └── CameraUnavailableError   no such camera, or something it needs is missing
├── FrameError                   (ValueError)   an array that is not the frame it should be
├── ImageReadError               (OSError)      a file that holds no readable image
├── InterpreterError             (RuntimeError) a model that the interpreter refuses or fails on
├── InterpreterUnavailableError  (ImportError)  no interpreter, or not the one asked for
├── PreviewError                 (OSError)      a preview that cannot be served where it was asked for
├── UsageError                   (ValueError)   an argument outside what it may be
└── VerificationError            (RuntimeError) a stage that does not reproduce its golden vectors

Each message is one line: the rule, what was received, the fix. This module imports nothing.
"""

__all__ = [
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
]


class EdgeRuntimeError(Exception):
    """Root of every error that edge-sdk-runtime raises on purpose."""


class BenchError(EdgeRuntimeError, RuntimeError):
    """A measuring process that did not finish."""


class BoardThrottledError(EdgeRuntimeError, RuntimeError):
    """A measurement that means nothing, since heat, a weak supply or a power limit held the clock back."""


class BundleError(EdgeRuntimeError, ValueError):
    """A bundle that cannot be used as asked."""


class BundleCorruptError(BundleError):
    """A file that is truncated, altered, or no bundle at all."""


class BundleVersionError(BundleError):
    """A bundle whose schema is newer than this runtime."""


class CameraError(EdgeRuntimeError, OSError):
    """A camera that failed, or was unplugged and did not come back."""


class CameraEndedError(CameraError, EOFError):
    """A file or folder that has no further frame."""


class CameraTimeoutError(CameraError, TimeoutError):
    """No frame came in time."""


class CameraUnavailableError(CameraError):
    """There is no such camera, or something that it needs is missing."""


class FrameError(EdgeRuntimeError, ValueError):
    """An array that is not a uint8 BGR frame."""


class ImageReadError(EdgeRuntimeError, OSError):
    """A file that holds no readable image."""


class InterpreterError(EdgeRuntimeError, RuntimeError):
    """A model that the interpreter refuses to load or fails to run."""


class ModelUnsupportedError(BundleError, InterpreterError):
    """A model that the installed interpreter is known not to run, or to run wrongly."""


class InterpreterUnavailableError(EdgeRuntimeError, ImportError):
    """No interpreter can be used here, or not the one that was asked for."""


class PreviewError(EdgeRuntimeError, OSError):
    """A preview that cannot be served where it was asked for."""


class UsageError(EdgeRuntimeError, ValueError):
    """An argument outside what it may be."""


class VerificationError(EdgeRuntimeError, RuntimeError):
    """A stage that does not reproduce its golden vectors on this machine."""
