from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.ssh_server import Server, find_server, running


@pytest.fixture(scope="session")
def ssh_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    sshd = find_server(pytestconfig.cache.mkdir("openssh"))  # type: ignore[union-attr]
    if sshd is None:
        pytest.skip("no OpenSSH server: install openssh-server, or name its sshd in EDGE_SDK_SSHD")
    with running(sshd, tmp_path_factory.mktemp("ssh")) as server:
        if isinstance(server, str):
            pytest.skip(f"the OpenSSH server does not start here: {server}")
        yield server


@pytest.fixture
def one_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only Python is the one that runs the tests; asking five for their versions takes long."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
