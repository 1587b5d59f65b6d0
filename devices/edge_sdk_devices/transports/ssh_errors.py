"""What the OpenSSH client says when it gives up, as one line that tells what to do."""

from __future__ import annotations

from ..errors import DeviceAccessError, DeviceConnectionError, DeviceError

__all__ = ["ssh_error"]

_UNREACHABLE = {
    "Could not resolve hostname": "Check the name; `ping` it, or use its number.",
    "Connection refused": "Start its SSH server: on a Raspberry Pi, sudo raspi-config, Interface Options, SSH.",
    "No route to host": "Check that it is switched on and in this network.",
    "Network is unreachable": "Check this machine's own network.",
    "Connection timed out": "Check that it is switched on and in this network.",
    "Operation timed out": "Check that it is switched on and in this network.",
    "banner exchange": "Check that an SSH server answers on that port.",
    "kex_exchange_identification": "Check that an SSH server answers on that port.",
}
"""What the client says of a host that does not answer, and what to do."""


def ssh_error(said: str, address: str) -> DeviceError:
    """The error that the client's words stand for.

    Args:
        said: All that it wrote to standard error.
        address: What a person calls the device.
    """
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return DeviceAccessError(
            f"A device must have the host key that it had before. Received: another one from {address}. If its card was written "
            f"again, run: ssh-keygen -R {_host(address)}, then ssh {address} once; else somebody may be in between."
        )
    if "Host key verification failed" in said or "host key is known" in said:
        return DeviceAccessError(
            f"A device must be among the known hosts. Received: {address}, which is not. Run: ssh {address} once, and compare "
            "the fingerprint that it shows with the device's."
        )
    if "Permission denied" in said or "Too many authentication failures" in said:
        return DeviceAccessError(
            f"A device must accept a key of this machine. Received: {_line(said, 'denied', 'Too many')} from {address}. "
            f"Run: ssh-copy-id {address} (passwords are never asked for here)."
        )
    for words, fix in _UNREACHABLE.items():
        if words in said:
            return DeviceConnectionError(f"A device must answer. Received: {_line(said, words)} ({address}). {fix}")
    return DeviceConnectionError(
        f"The connection must last. Received: {_line(said) or 'it was lost'} ({address}). Run the same command again; what was "
        "there before goes on."
    )


def _line(said: str, *words: str) -> str:
    """The line that holds any of some words, else the last one."""
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip()]
    fitting = [line for line in lines if any(word in line for word in words)]
    return (fitting or lines or [""])[-1].removeprefix("ssh: ")


def _host(address: str) -> str:
    """The host as the file of known hosts has it."""
    host, _, port = address.removeprefix("ssh://").rpartition("@")[2].partition(":")
    return f"'[{host}]:{port}'" if port else host
