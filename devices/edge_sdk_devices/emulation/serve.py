"""An emulated board's SSH server, and the file that names it to `emulated:FILE`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from ..errors import DeviceError
from .board import EmulatedPi, Interpreter
from .openssh import find_server, running_server

__all__ = ["TARGET", "serving"]

TARGET = "target.toml"
"""What the file of a board that is being served is called."""
_LOGIN = """\
#!/bin/sh
# A session of the emulated board: its own programs and home folder, nothing of the environment around it.
cd {home} || exit 1
exec env -i {variables} USER="$USER" LOGNAME="$USER" TERM="${{TERM:-dumb}}" SSH_CONNECTION="$SSH_CONNECTION" \\
    {shell} ${{SSH_ORIGINAL_COMMAND:+-c "$SSH_ORIGINAL_COMMAND"}}
"""


@contextlib.contextmanager
def serving(board: EmulatedPi, folder: Path | None = None) -> Iterator[Path]:
    """Let a board be reached by SSH until the block ends.

    Args:
        board: A board that is built.
        folder: What is one board's own: its home folder `home`, its keys, its log. A new folder is a board on which nothing has
            been installed yet; `board` in the board's folder where None.

    Yields:
        The file for `emulated:FILE`; it goes when the server does.

    Raises:
        DeviceError: There is no OpenSSH server for this machine, or it does not start; or the board is being served already.
    """
    own = (folder or board.folder / "board").absolute()
    sshd = find_server(board.folder / "openssh")
    if sshd is None:
        raise DeviceError(
            "An emulated board is reached through OpenSSH. Received: no sshd on this machine, and none can be fetched. "
            "Run: sudo apt install openssh-server"
        )
    target, login = own / TARGET, own / "login"
    settings = {"ForceCommand": shlex.quote(str(login)), "DisableForwarding": "yes", "PrintMotd": "no"}
    with _alone(own):
        _prepare(board, own, login)
        with running_server(sshd, own, settings) as server:
            lines = (f"{key} = {json.dumps(value)}\n" for key, value in server.target().items())
            write_atomically(target, "".join(lines).encode())
            try:
                yield target
            finally:
                target.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(own: Path) -> Iterator[None]:
    """A second server would give the board another port under the first one's feet."""
    own.mkdir(parents=True, exist_ok=True)
    with (own / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeviceError(
                f"A board must be served once at a time. Received: {own}, which is. Use its {TARGET}, or serve another folder."
            ) from error
        yield


def _prepare(board: EmulatedPi, own: Path, login: Path) -> None:
    """The home folder, with the environments that were built, and the program that every session runs."""
    home = own / "home"
    home.mkdir(parents=True, exist_ok=True)
    for interpreter in Interpreter:
        link, environment = home / f"edge-{interpreter.value}", board.environment(interpreter)
        if environment.exists() and not link.is_symlink():
            link.symlink_to(environment)
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in board.variables(home).items())
    text = _LOGIN.format(home=shlex.quote(str(home)), variables=variables, shell=shlex.quote(str(board.shell)))
    write_atomically(login, text.encode())
    login.chmod(0o755)
