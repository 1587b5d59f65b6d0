"""Quantization of exported files: weights and activations stored and computed with in fewer bits.

`quantize.config` holds the plan and imports no Keras; `quantize.apply` quantizes a file.
"""

from .apply import quantize
from .config import AwareConfig, QuantizeConfig, QuantizeMode

__all__ = ["AwareConfig", "QuantizeConfig", "QuantizeMode", "quantize"]
