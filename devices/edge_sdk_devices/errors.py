"""The root of every error that the distribution edge-sdk raises on purpose, and those about devices.

EdgeSdkError
├── CostError        (ValueError)            a model whose cost cannot be counted
├── DeviceError      (OSError)               a device that cannot do what was asked
│   ├── DeployError            (RuntimeError)     a bundle that cannot be installed there, or does not verify there
│   ├── DeviceAccessError      (PermissionError)  a key that the device refuses, or a device that nobody vouches for
│   ├── DeviceConnectionError  (ConnectionError)  a device that does not answer, or was lost on the way
│   ├── DeviceFullError                           a disk without room
│   └── DeviceTimeoutError     (TimeoutError)     a command that did not end in time
├── PhoneError       (OSError)               a page for phones that cannot be built or served
├── ProfileError     (ValueError)            a device profile that is unknown or says something impossible
└── (edge_sdk_converters.errors, edge_sdk.errors: what their packages add)

The root stands here because imports point this way: edge_sdk → edge_sdk_converters → edge_sdk_devices.
"""

__all__ = [
    "CostError",
    "DeployError",
    "DeviceAccessError",
    "DeviceConnectionError",
    "DeviceError",
    "DeviceFullError",
    "DeviceTimeoutError",
    "EdgeSdkError",
    "PhoneError",
    "ProfileError",
]


class EdgeSdkError(Exception):
    """Root of every error that edge-sdk raises on purpose; each message is one line: the rule, what was received, the fix."""


class CostError(EdgeSdkError, ValueError):
    """A model whose cost cannot be counted."""


class DeviceError(EdgeSdkError, OSError):
    """A device that cannot do what was asked of it."""


class DeployError(DeviceError, RuntimeError):
    """A bundle that cannot be installed on a device, or does not verify there; what was deployed before goes on."""


class DeviceAccessError(DeviceError, PermissionError):
    """A key that the device refuses, or a device whose own key nobody vouches for."""


class DeviceConnectionError(DeviceError, ConnectionError):
    """A device that does not answer, or was lost on the way."""


class DeviceFullError(DeviceError):
    """A device whose disk has no room for what is to be written."""


class DeviceTimeoutError(DeviceError, TimeoutError):
    """A command that did not end in time."""


class PhoneError(EdgeSdkError, OSError):
    """A page for phones that cannot be built or served."""


class ProfileError(EdgeSdkError, ValueError):
    """A device profile that is unknown or says something impossible."""
