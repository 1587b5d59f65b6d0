"""Emulated boards, as far as that needs no emulation; tests/pi goes the whole way with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk_devices import emulation
from edge_sdk_devices.emulation import EmulatedPi, Interpreter, build, find_server, serving, sysroot
from edge_sdk_devices.emulation.__main__ import main
from edge_sdk_devices.emulation.apt import Apt
from edge_sdk_devices.emulation.environments import interpreter_system
from edge_sdk_devices.errors import DeviceConnectionError, DeviceError
from edge_sdk_devices.transports import open_transport
from edge_sdk_runtime.bench.system import read_board


def test_public_names() -> None:
    assert emulation.__all__ == [
        "EmulatedPi",
        "Interpreter",
        "OpenSshServer",
        "build",
        "find_server",
        "running_server",
        "serving",
        "trouble_here",
    ]
    assert all((getattr(emulation, name).__doc__ or "").strip() for name in emulation.__all__)


def test_every_interpreter_has_pins_for_the_board() -> None:
    for interpreter in Interpreter:
        system = interpreter_system(interpreter)
        assert system.runtime is not None and system.platforms[0] == "manylinux_2_36_aarch64"
        assert "numpy==1.26.4" in system.requirements
    assert interpreter_system(Interpreter.TFLITE_RUNTIME).interpreter == "tflite-runtime==2.14.0"


PRINTS_HOW_IT_WAS_STARTED = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done
"""


def packages(folder: Path) -> tuple[Path, ...]:
    """A package that holds one program of another processor, a script of the board's Python, and a link."""
    own = folder / "package"
    (own / "usr/bin").mkdir(parents=True)
    (own / "bin").mkdir()
    (own / "tmp").mkdir()
    (own / "DEBIAN").mkdir()
    (own / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: one tool\n"
    )
    (own / "usr/bin/tool").write_bytes(b"\x7fELF of another processor")
    (own / "usr/bin/tool").chmod(0o755)
    (own / "usr/bin/script").write_text("#!/usr/bin/python3\nprint()\n")
    (own / "usr/bin/link").symlink_to("tool")
    made = folder / "tool.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", own, made], check=True, capture_output=True)
    return (made,)


@pytest.mark.skipif("dpkg-deb" in emulation.trouble_here(), reason="needs dpkg-deb")
def test_programs_are_started_by_the_emulator_under_the_name_that_was_asked_for(tmp_path: Path) -> None:
    qemu, final = tmp_path / "an emulator", tmp_path / "a board"
    qemu.write_text(PRINTS_HOW_IT_WAS_STARTED)
    qemu.chmod(0o755)
    sysroot.make_sysroot(packages(tmp_path), tmp_path / "part", final, qemu)
    (tmp_path / "part").replace(final)
    said = subprocess.run([final / "usr/bin/link", "two words"], capture_output=True, text=True, check=True).stdout
    kept = final / "usr/libexec/emulated/tool"
    expected = ["-cpu", "cortex-a72", "-L", str(final), "-0", str(final / "usr/bin/link"), str(kept), "two words"]
    assert said.splitlines() == expected and kept.read_bytes().startswith(b"\x7fELF")
    assert (final / "usr/bin/script").read_text().startswith(f"#!{final}/usr/bin/python3\n")
    assert not (final / "tmp").exists()
    board = read_board(final)
    assert board.emulated and board.model == "Raspberry Pi 4 Model B, emulated by QEMU" and board.cpu == "Cortex-A72"
    damaged = tmp_path / "damaged.deb"
    damaged.write_bytes(b"!<arch>\n")
    with pytest.raises(DeviceError, match=r"must be unpackable\. Received: damaged\.deb"):
        sysroot.make_sysroot([damaged], tmp_path / "other", final, qemu)


@pytest.mark.ssh
@pytest.mark.usefixtures("ssh_server")
def test_a_session_sees_the_board_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """The board's shell is this machine's here."""
    sshd = find_server(pytestconfig.cache.mkdir("openssh"))  # type: ignore[union-attr]
    board = EmulatedPi(tmp_path / "the board")
    for folder in ("bin", "usr/bin"):
        (board.sysroot / folder).mkdir(parents=True)
    board.shell.symlink_to("/bin/sh")
    (board.sysroot / "usr/bin/env").symlink_to("/usr/bin/env")
    board.environment(Interpreter.LITERT).mkdir(parents=True)
    monkeypatch.setattr("edge_sdk_devices.emulation.serve.find_server", lambda cache: sshd)
    monkeypatch.setenv("EDGE_SDK_SECRET", "of the person who serves")
    with serving(board, tmp_path / "one") as target:
        home = tmp_path / "one/home"
        with open_transport(f"emulated:{target}") as transport:
            assert transport.emulated
            said = transport.run("pwd; env; echo 'two  words'; cd; echo ~")
            lines = said.text.splitlines()
            assert lines[0] == str(home) and lines[-2:] == ["two  words", str(home)]
            assert f"PATH={board.sysroot}/usr/bin:{board.sysroot}/bin" in lines and "SECRET" not in said.text
            assert transport.run("exit 3").status == 3
            assert transport.run("python3").status == 127  # this machine's is none of its own
        with pytest.raises(DeviceError, match="must be served once at a time"), serving(board, tmp_path / "one"):
            pass
        assert (home / "edge-litert").resolve() == board.environment(Interpreter.LITERT)
    assert not target.exists()
    with pytest.raises(DeviceError, match="Start the emulated board again"):
        open_transport(f"emulated:{target}")


def test_where_no_board_can_be_the_reason_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "tools"
    empty.mkdir()
    with monkeypatch.context() as machine:
        machine.setenv("PATH", str(empty))
        with pytest.raises(DeviceError, match=r"must be able to emulate a board\. Received: needs apt-get, dpkg"):
            build(tmp_path / "board")
        assert main(["build", str(tmp_path / "board")]) == 2
    assert (
        capsys.readouterr().err.startswith("emulation: This machine must be able") and not (tmp_path / "board").exists()
    )
    (empty / "apt-get").write_text("#!/bin/sh\necho 'E: The repository does not answer' >&2; exit 100\n")
    (empty / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{empty}:/usr/bin:/bin")
    apt = Apt(tmp_path / "apt", ("arm64",), "deb http://127.0.0.1:1/debian bookworm main")
    with pytest.raises(
        DeviceConnectionError, match=r"lists of packages must be fetchable\. Received: E: The repository"
    ):
        apt.update()
    with pytest.raises(DeviceConnectionError, match="packages must be fetchable"):
        apt.download(["dash"], tmp_path / "packages")


def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["build", "board", "--interpreter", "tensorflow"])
    assert ended.value.code == 2 and "litert" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk_devices.emulation", "--help"], capture_output=True, text=True, check=True
    )
    assert "build" in done.stdout and "serve" in done.stdout
