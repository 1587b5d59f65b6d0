"""Every error the workstation side adds to those of the converters.

EdgeSdkError                     (edge_sdk_devices.errors)
└── DataError                    (ValueError)   images or labels that cannot be learnt from
"""

from edge_sdk_devices.errors import EdgeSdkError

__all__ = ["DataError", "EdgeSdkError"]


class DataError(EdgeSdkError, ValueError):
    """Images or labels that cannot be learnt from."""
