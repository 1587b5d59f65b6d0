"""Every error the converters raise on purpose.

EdgeSdkError                     (edge_sdk_devices.errors)
├── RecipeError                  (ValueError)   a recipe with an unknown key or an impossible value
├── ModelError                   (ValueError)   a Keras model that cannot be taken or rewritten
├── BudgetError                  (ValueError)   a budget that no rewriting of the model meets
├── CompatibilityError           (ValueError)   models that a runtime they are meant for does not run
├── ExportError                  (RuntimeError) a model that the TFLite converter refuses
├── QuantizationError            (RuntimeError) a .tflite file that cannot be quantized as asked
└── ProofError                   (RuntimeError) a bundle that does not reproduce its own golden vectors
"""

from edge_sdk_devices.errors import EdgeSdkError

__all__ = [
    "BudgetError",
    "CompatibilityError",
    "EdgeSdkError",
    "ExportError",
    "ModelError",
    "ProofError",
    "QuantizationError",
    "RecipeError",
]


class RecipeError(EdgeSdkError, ValueError):
    """A recipe with an unknown key or an impossible value."""


class ModelError(EdgeSdkError, ValueError):
    """A Keras model that cannot be taken or rewritten."""


class BudgetError(EdgeSdkError, ValueError):
    """A budget that no rewriting of the model meets."""


class CompatibilityError(EdgeSdkError, ValueError):
    """Models that a runtime they are meant for does not run."""


class ExportError(EdgeSdkError, RuntimeError):
    """A model that the TFLite converter refuses."""


class QuantizationError(EdgeSdkError, RuntimeError):
    """A .tflite file that cannot be quantized as asked."""


class ProofError(EdgeSdkError, RuntimeError):
    """A bundle that does not reproduce its own golden vectors."""
