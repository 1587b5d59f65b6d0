"""The programs of an emulated board: Debian's arm64 packages, unpacked, each program behind a launcher that starts QEMU.

User-mode QEMU translates instructions and system calls of one process. The kernel of this machine runs only programs of its own
processor, so every arm64 program has a shell script of its name in its place: what starts a program by its path, a venv's `python` or
the first line of a script among it, starts the emulation too. Paths of the C library, and what a board tells of itself, are found
below the sysroot first (`qemu -L`).
"""

from __future__ import annotations

import compileall
import contextlib
import io
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .apt import unpack

__all__ = ["CPU", "MODEL", "PACKAGES", "make_sysroot"]

CPU = "cortex-a72"
"""The processor of a Raspberry Pi 4: what wheels ask of a newer one ends them here, as it does there."""
MODEL = "Raspberry Pi 4 Model B, emulated by QEMU"
"""What the board calls itself."""
PACKAGES = (
    *("base-files", "coreutils", "dash", "debianutils", "findutils", "grep", "hostname", "sed"),
    *("python3", "python3-distutils", "python3-lib2to3", "python3-minimal", "python3-pip", "python3-pip-whl"),
    *("python3-pkg-resources", "python3-setuptools", "python3-setuptools-whl", "python3-venv", "python3-wheel"),
    *("python3.11", "python3.11-minimal", "python3.11-venv", "libpython3-stdlib", "libpython3.11-minimal"),
    *("libpython3.11-stdlib", "gcc-12-base", "libacl1", "libattr1", "libbz2-1.0", "libc6", "libcrypt1", "libdb5.3"),
    *("libexpat1", "libffi8", "libgcc-s1", "libgmp10", "liblzma5", "libncursesw6", "libpcre2-8-0", "libreadline8"),
    *("libselinux1", "libsqlite3-0", "libssl3", "libstdc++6", "libtinfo6", "libuuid1", "zlib1g"),
)
"""What Raspberry Pi OS has of what a deployment, NumPy, OpenCV and an interpreter use."""
_PYTHON = (3, 11)
_NOT_OF_THE_PACKAGES = ("boot", "dev", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var")
"""Folders that are empty in packages; as folders of the sysroot they would hide this machine's."""
_KEPT = Path("usr/libexec/emulated")
"""Where the programs themselves are."""
_PROCESSOR = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


def make_sysroot(packages: Sequence[Path], part: Path, final: Path, qemu: Path) -> None:
    """Make a sysroot of packages.

    Args:
        packages: The .deb files of `PACKAGES`.
        part: Where it is made; an empty folder, or none.
        final: The path that it will have; launchers name it.
        qemu: The program that emulates.

    Raises:
        DeviceError: A package is damaged, or the disk is full.
    """
    part.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda package: unpack(package, part), packages))
    for name in _NOT_OF_THE_PACKAGES:
        shutil.rmtree(part / name, ignore_errors=True)
    _describe(part)
    for folder in ("bin", "usr/bin"):
        for program in sorted((part / folder).iterdir()):
            _make_launchable(program, part, final, qemu)
    _compile(part, final)


def _describe(part: Path) -> None:
    """What a board tells of itself, as the kernel of a Raspberry Pi 4 has it; XNNPACK reads the processor there."""
    board, cores = part / "proc/device-tree/model", os.cpu_count() or 1
    board.parent.mkdir(parents=True)
    board.write_text(f"{MODEL}\0")
    processors = "".join(_PROCESSOR.format(number=number) for number in range(cores))
    (part / "proc/cpuinfo").write_text(f"{processors}Model\t\t: {MODEL}\n")


def _make_launchable(program: Path, part: Path, final: Path, qemu: Path) -> None:
    """Put a launcher in a program's place; scripts get an interpreter of the board."""
    if program.is_symlink() or not program.is_file():
        return
    with program.open("rb") as file:
        begins = file.readline(200)
    if begins.startswith(b"\x7fELF"):
        kept = part / _KEPT / program.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        program.replace(kept)
        program.write_text(_launcher(final / _KEPT / program.name, final, qemu))
        program.chmod(0o755)
    elif begins.startswith(b"#!/usr/bin/python3"):
        line = f"#!{final}/usr/bin/python3\n".encode()
        program.write_bytes(line + program.read_bytes().partition(b"\n")[2])


def _launcher(program: Path, sysroot: Path, qemu: Path) -> str:
    # The program is told the name that it was started by: by that, Python knows its environment.
    words = [*map(shlex.quote, (str(qemu), "-cpu", CPU, "-L", str(sysroot))), "-0", '"$0"', shlex.quote(str(program))]
    return f'#!/bin/sh\nexec {" ".join(words)} "$@"\n'


def _compile(part: Path, final: Path) -> None:
    """Compile the standard library and pip, as a package's installation does; emulated, it would take a minute."""
    if sys.version_info[:2] != _PYTHON:
        return  # another Python's compiled files are of no use there; the board compiles what it imports
    folders = (part / "usr/lib/python3.11", part / "usr/lib/python3/dist-packages/pip")
    with contextlib.redirect_stdout(io.StringIO()):
        for folder in folders:
            compileall.compile_dir(folder, quiet=2, stripdir=str(part), prependdir=str(final), workers=0)
