"""The root of every error that the distribution edge-sdk raises on purpose, and those about devices.

EdgeSdkError
├── ProfileError     (ValueError)            a device profile that is unknown or says something impossible
└── (edge_sdk_converters.errors, edge_sdk.errors: what their packages add)

The root stands here because imports point this way: edge_sdk → edge_sdk_converters → edge_sdk_devices.
"""

__all__ = ["EdgeSdkError", "ProfileError"]


class EdgeSdkError(Exception):
    """Root of every error that edge-sdk raises on purpose; each message is one line: the rule, what was received, the fix."""


class ProfileError(EdgeSdkError, ValueError):
    """A device profile that is unknown or says something impossible."""
