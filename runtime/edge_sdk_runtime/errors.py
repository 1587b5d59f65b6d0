"""Every error the runtime raises on purpose.

EdgeRuntimeError
├── BundleError                  (ValueError)
│   ├── BundleCorruptError       truncated, altered, or not a bundle at all
│   └── BundleVersionError       written by a newer SDK than this runtime understands
├── FrameError                   (ValueError)   an array that is not the frame it should be
├── ImageReadError               (OSError)      a file that holds no readable image
├── InterpreterError             (RuntimeError) a model that the interpreter refuses or fails on
├── InterpreterUnavailableError  (ImportError)  no interpreter, or not the one asked for
├── UsageError                   (ValueError)   an argument outside what it may be
└── VerificationError            (RuntimeError) a stage that does not reproduce its golden vectors

Each message is one line: the rule, what was received, the fix. This module imports nothing.
"""

__all__ = [
    "BundleCorruptError",
    "BundleError",
    "BundleVersionError",
    "EdgeRuntimeError",
    "FrameError",
    "ImageReadError",
    "InterpreterError",
    "InterpreterUnavailableError",
    "UsageError",
    "VerificationError",
]


class EdgeRuntimeError(Exception):
    """Root of every error that edge-sdk-runtime raises on purpose."""


class BundleError(EdgeRuntimeError, ValueError):
    """A bundle that cannot be used as asked."""


class BundleCorruptError(BundleError):
    """A file that is truncated, altered, or no bundle at all."""


class BundleVersionError(BundleError):
    """A bundle whose schema is newer than this runtime."""


class FrameError(EdgeRuntimeError, ValueError):
    """An array that is not a uint8 BGR frame."""


class ImageReadError(EdgeRuntimeError, OSError):
    """A file that holds no readable image."""


class InterpreterError(EdgeRuntimeError, RuntimeError):
    """A model that the interpreter refuses to load or fails to run."""


class InterpreterUnavailableError(EdgeRuntimeError, ImportError):
    """No interpreter can be used here, or not the one that was asked for."""


class UsageError(EdgeRuntimeError, ValueError):
    """An argument outside what it may be."""


class VerificationError(EdgeRuntimeError, RuntimeError):
    """A stage that does not reproduce its golden vectors on this machine."""
