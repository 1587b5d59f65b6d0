"""Building an emulated board in a folder, once; what it is made of decides whether it has to be built again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from ..errors import DeviceError
from . import sysroot
from .apt import Apt, bookworm_source, missing_tools, unpack
from .sysroot import PACKAGES, make_sysroot

__all__ = ["EmulatedPi", "Interpreter", "build", "trouble_here"]

_QEMU = "qemu-aarch64-static"
_QEMU_PACKAGE = "qemu-user-static"
_READY = "ready.json"
_TOOLS = ("apt-get", "dpkg", "dpkg-deb", "ssh", "ssh-keygen")


class Interpreter(str, Enum):
    """An interpreter whose wheels there are for 64-bit Arm and Python 3.11."""

    LITERT = "litert"
    TFLITE_RUNTIME = "tflite-runtime"


@dataclass(frozen=True)
class EmulatedPi:
    """A board that is built: Raspberry Pi OS Bookworm's Python and tools for a Raspberry Pi 4, nothing installed into it.

    Attributes:
        folder: All of it; it works at this path alone.
    """

    folder: Path

    @property
    def sysroot(self) -> Path:
        """Its programs and libraries."""
        return self.folder / "sysroot"

    @property
    def python(self) -> Path:
        """Its Python, which runs as any program of this machine does."""
        return self.sysroot / "usr/bin/python3"

    @property
    def shell(self) -> Path:
        """Its POSIX shell."""
        return self.sysroot / "bin/sh"

    def environment(self, interpreter: Interpreter) -> Path:
        """Where `build` makes the environment of an interpreter."""
        return self.folder / "environments" / interpreter.value

    def variables(self, home: Path) -> dict[str, str]:
        """The environment variables of its programs; none of this machine's are passed on.

        Args:
            home: Its home folder.
        """
        path = f"{self.sysroot}/usr/bin:{self.sysroot}/bin"
        return {"HOME": str(home), "PATH": path, "SHELL": str(self.shell), "LANG": "C.UTF-8"}


def trouble_here() -> str:
    """Why no board can be emulated on this machine, as far as that is known before anything is fetched; empty where it can."""
    if os.uname().sysname != "Linux":
        return "user-mode QEMU emulates Linux on Linux alone"
    missing = missing_tools(*_TOOLS)
    return f"needs {', '.join(missing)}, as Debian and Ubuntu have them" if missing else ""


def _quiet(what: str) -> None:
    del what


def build(folder: Path, interpreters: Sequence[Interpreter] = (), told: Callable[[str], None] = _quiet) -> EmulatedPi:
    """Build a board, or find it built.

    Args:
        folder: Where; its path is part of what is built.
        interpreters: Those that get an environment with the runtime, to be deployed into as it is.
        told: Is told what is being done.

    Raises:
        DeviceConnectionError: Debian's packages, or the wheels, cannot be fetched.
        DeviceError: This machine cannot emulate, or the disk is full.
    """
    if trouble := trouble_here():
        raise DeviceError(f"This machine must be able to emulate a board. Received: {trouble}. Take another machine.")
    from .environments import make_environment

    board = EmulatedPi(folder.absolute())
    with _locked(board.folder):
        if not _is_ready(board):
            _build(board, told)
        for interpreter in interpreters:
            make_environment(board, interpreter, told)
    return board


def _build(board: EmulatedPi, told: Callable[[str], None]) -> None:
    for stale in ("sysroot", "environments", "tools"):
        shutil.rmtree(board.folder / stale, ignore_errors=True)
    (board.folder / _READY).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=board.folder) as work:
        debs, qemu_package = _fetch(Path(work), told)
        qemu = _qemu(board, qemu_package, Path(work))
        told(f"unpacking {len(debs)} packages")
        make_sysroot(debs, Path(work) / "sysroot", board.sysroot, qemu)
        (Path(work) / "sysroot").replace(board.sysroot)
    _try(board)
    write_atomically(board.folder / _READY, json.dumps(_made_of(board)).encode())


def _fetch(work: Path, told: Callable[[str], None]) -> tuple[tuple[Path, ...], Path | None]:
    """The board's packages, and that of QEMU where it is not installed."""
    own = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    architectures = tuple(dict.fromkeys(("arm64", own)))
    apt = Apt(work / "apt", architectures, bookworm_source())
    told("fetching Debian's lists of packages")
    apt.update()
    asked = [*PACKAGES, *([] if shutil.which(_QEMU) else [f"{_QEMU_PACKAGE}:{own}"])]
    told(f"fetching {len(asked)} packages")
    found = apt.download(asked, work / "packages")
    qemu = next((path for path in found if path.name.startswith(f"{_QEMU_PACKAGE}_")), None)
    return tuple(path for path in found if path != qemu), qemu


def _qemu(board: EmulatedPi, package: Path | None, work: Path) -> Path:
    """The program that emulates: the installed one, else the one of the package."""
    if package is None:
        return Path(str(shutil.which(_QEMU)))
    unpack(package, work / "qemu")
    program = board.folder / "tools" / _QEMU
    program.parent.mkdir()
    (work / "qemu/usr/bin" / _QEMU).replace(program)
    return program


def _try(board: EmulatedPi) -> None:
    """A board that does not run is not finished."""
    command = [str(board.python), "-c", "import os, ssl, venv, zlib; print(os.uname().machine)"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=board.variables(board.folder), cwd=board.folder
    )
    if done.stdout.strip() != "aarch64":
        said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise DeviceError(
            f"The emulated board's Python must run. Received: {said[-1]}. "
            f"Delete {board.folder} and build it again; another version of QEMU may help."
        )


def _is_ready(board: EmulatedPi) -> bool:
    try:
        return bool(json.loads((board.folder / _READY).read_text(encoding="utf-8")) == _made_of(board))
    except (OSError, ValueError):
        return False


def _made_of(board: EmulatedPi) -> dict[str, str]:
    """What decides how a board is: its list of packages and all that is done with them, and its path, which launchers name."""
    own = board.folder / "tools" / _QEMU
    return {
        "path": str(board.folder),
        "sysroot": hashlib.sha256(inspect.getsource(sysroot).encode()).hexdigest(),
        "qemu": str(own if own.exists() else shutil.which(_QEMU)),
        "cores": str(os.cpu_count()),
    }


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time builds; what one that was killed has left is taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in folder.glob(".build-*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield
