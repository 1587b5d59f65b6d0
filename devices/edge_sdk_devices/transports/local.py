"""This machine as a device: what is deployed goes into the home folder of the person who asks, or into another one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from ..errors import DeviceTimeoutError
from .base import DEFAULT_TIMEOUT_S, Result, ShellTransport

__all__ = ["LocalTransport", "run_process"]


class LocalTransport(ShellTransport):
    """Commands run by this machine's own `sh`.

    Args:
        home: The folder that plays the home folder; the person's own where None. It is created where it is missing.
    """

    def __init__(self, home: Path | None = None) -> None:
        super().__init__("local" if home is None else f"local:{home}")
        self._home = Path.home() if home is None else home.absolute()

    def run(self, command: str, data: bytes = b"", timeout: float = DEFAULT_TIMEOUT_S) -> Result:
        """As `Transport.run`."""
        self._home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "HOME": str(self._home), "LC_ALL": "C"}
        # Of this program's own environment: a device has neither, and a Python would take its packages from them.
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            environment.pop(name, None)
        done = run_process(["sh", "-c", command], data, timeout, environment, self._home)
        if done is None:
            raise DeviceTimeoutError(
                f"A command must end within {timeout:g} s. Received: one on {self.address} that did not. Try again."
            )
        return done


def run_process(
    command: list[str], data: bytes, timeout: float, environment: dict[str, str], folder: Path | None = None
) -> Result | None:
    """Run a process in a group of its own, all of which ends with it when it has to be ended.

    Args:
        command: Program and arguments.
        data: What it reads from standard input.
        timeout: Seconds that it may take.
        environment: Its environment variables.
        folder: Where it runs.

    Returns:
        What it did; None where it did not end in time.
    """
    # Not a pipe: an SSH client that stays in the background keeps standard error open (OpenSSH before 8.5), and a pipe would
    # not end before it does.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(data, timeout)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise
        errors.seek(0)
        return Result(process.returncode, output, errors.read().decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(BrokenPipeError):  # what was still to be written has nobody to read it
                stream.close()
    process.wait()
