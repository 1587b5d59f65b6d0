from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from edge_sdk_devices import errors, transports
from edge_sdk_devices.errors import (
    DeviceAccessError,
    DeviceConnectionError,
    DeviceError,
    DeviceFullError,
    DeviceTimeoutError,
)
from edge_sdk_devices.transports import (
    EmulatedTarget,
    FakeTransport,
    LocalTransport,
    Result,
    ShellTransport,
    open_transport,
)
from edge_sdk_devices.transports.ssh_errors import ssh_error
from tests.devices.ssh_server import Server


def test_public_names() -> None:
    assert transports.__all__ == [
        "EmulatedTarget",
        "FakeTransport",
        "LocalTransport",
        "Result",
        "ShellTransport",
        "SshTransport",
        "Transport",
        "emulated_transport",
        "open_transport",
    ]
    assert all((getattr(transports, name).__doc__ or "").strip() for name in transports.__all__)


def test_every_error_of_devices_is_one_of_the_family() -> None:
    own = [getattr(errors, name) for name in errors.__all__ if name.startswith(("Device", "Deploy"))]
    assert all(issubclass(error, DeviceError) and issubclass(error, OSError) for error in own)
    assert len(own) == 6


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.ssh)])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> ShellTransport:
    if request.param == "local":
        return LocalTransport(tmp_path / "home")
    server: Server = request.getfixturevalue("ssh_server")
    return server.connect()


def test_commands_and_files_reach_a_device(transport: ShellTransport, tmp_path: Path) -> None:
    with transport:
        done = transport.run("pwd; echo $HOME; cat; echo oh >&2; exit 3", b"\xff\0 'quoted'\n")
        home, again, rest = done.output.split(b"\n", 2)
        assert done.status == 3 and done.errors == "oh\n" and home == again and rest == b"\xff\0 'quoted'\n"
        path, content = str(tmp_path / "new folder" / "it's %h"), bytes(range(256)) * 4000
        transport.put(content, path)
        assert transport.get(path) == content and list(Path(path).parent.iterdir()) == [Path(path)]
        source = tmp_path / "source"
        source.write_bytes(b"shorter")
        transport.put(source, path)
        assert Path(path).read_bytes() == b"shorter"
        with pytest.raises(DeviceError, match=r"nowhere must be readable\. Received: cat: nowhere: No such file"):
            transport.get("nowhere")
        with pytest.raises(DeviceTimeoutError, match=r"must end within 0\.5 s"):
            transport.run("sleep 5", timeout=0.5)
        assert transport.run("echo still here").text == "still here\n"
    transport.close()


class Cut(LocalTransport):
    """Loses the second half of what it is to move, as a broken connection does."""

    def run(self, command: str, data: bytes = b"", timeout: float = 60) -> Result:
        return super().run(command, data[: len(data) // 2], timeout)


def test_a_file_that_is_cut_short_changes_nothing(tmp_path: Path) -> None:
    LocalTransport(tmp_path).put(b"before", "folder/file")
    with pytest.raises(DeviceConnectionError, match=r"file on .* cut short .3 of 6 bytes"):
        Cut(tmp_path).put(b"behind", "folder/file")
    assert [path.read_bytes() for path in (tmp_path / "folder").iterdir()] == [b"before"]


def test_a_full_disk_is_told_apart() -> None:
    full = FakeTransport(lambda command, data: Result(1, b"", "cat: write error: No space left on device\n"))
    with pytest.raises(DeviceFullError, match=r"disk must have room\. Received: fake is full .* Free some space"):
        full.check(full.run("anything"), "it must be written")


def test_a_fake_remembers_what_it_was_asked() -> None:
    with FakeTransport(lambda command, data: Result(0, data[::-1]), emulated=True) as fake:
        fake.put(b"content", "a/file")
        assert fake.run("reverse", b"abc").text == "cba" and fake.get("a/file") == b"content"
        with pytest.raises(DeviceError, match="other must be readable"):
            fake.get("other")
    assert fake.commands == ["reverse"] and fake.closed and fake.emulated


@pytest.mark.ssh
@pytest.mark.parametrize(
    ("identity", "known_hosts", "error", "words"),
    [
        ("stranger", "known_hosts", DeviceAccessError, r"accept a key of this machine\. Received: .*Permission denied.*ssh-copy-id"),
        ("user", "known_nobody", DeviceAccessError, "among the known hosts.*Run: ssh ssh://.* once"),
        ("user", "known_stranger", DeviceAccessError, r"host key that it had before.*ssh-keygen -R '\[127\.0\.0\.1\]:\d+'"),
    ],
)  # fmt: skip
def test_refusals_are_told_apart(
    ssh_server: Server, identity: str, known_hosts: str, error: type[DeviceError], words: str
) -> None:
    (ssh_server.folder / "stranger").chmod(stat.S_IRUSR | stat.S_IWUSR)
    with ssh_server.connect(identity, known_hosts) as transport, pytest.raises(error, match=words) as raised:
        transport.run("true")
    assert "\n" not in str(raised.value)


@pytest.mark.ssh
def test_a_lost_connection_is_told_and_the_next_command_connects_again(ssh_server: Server) -> None:
    with ssh_server.connect() as transport:
        with pytest.raises(DeviceConnectionError, match="connection must last"):
            transport.run("kill -9 $PPID; sleep 2")
        assert transport.run("echo back").text == "back\n"


def test_a_host_that_does_not_answer_is_told() -> None:
    with (
        open_transport("ssh://nobody@127.0.0.1:1") as transport,
        pytest.raises(DeviceConnectionError, match=r"A device must answer\. Received: .*refused.*Start its SSH server"),
    ):
        transport.run("true")


@pytest.mark.ssh
@pytest.mark.parametrize("ending", [".json", ".toml"])
def test_an_emulated_board_is_known_by_its_file(ssh_server: Server, ending: str) -> None:
    table = ssh_server.target()
    file = ssh_server.folder / f"target{ending}"
    toml = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    file.write_text(json.dumps(table) if ending == ".json" else toml)
    with open_transport(f"emulated:{file}") as transport:
        assert transport.emulated and transport.address == f"emulated:{file}"
        assert transport.run("echo it answers").text == "it answers\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("host = 1", "host"),
        ('host = "h"\nport = 0\nuser = "u"\nidentity = "i"\nknown_hosts = "k"\nemulated = true', "port must be 1 to 65535"),
        ('host = "h"\nport = 9\nuser = "u"\nidentity = "i"\nknown_hosts = "k"\nemulated = false', "emulated must be true"),
        ("[", "TOML"),
    ],
)  # fmt: skip
def test_files_of_emulated_boards_are_checked(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "t.toml").write_text(content)
    with pytest.raises(DeviceError, match=f"must name the file of a target.*{words}"):
        EmulatedTarget.read(tmp_path / "t.toml")
    with pytest.raises(DeviceError, match="No such file"):
        open_transport(f"emulated:{tmp_path / 'none'}")


@pytest.mark.parametrize("address", ["", "-oProxyCommand=evil", "pi@-x", "two words", "ssh://", "pi@"])
def test_addresses_are_checked(address: str) -> None:
    with pytest.raises(DeviceError, match="An address must be"):
        open_transport(address)
    with pytest.raises(DeviceError, match="Write ssh://pi@board:2222"):
        open_transport("pi@board:2222")


SAID = {
    "ssh: Could not resolve hostname nopi: Name or service not known": (DeviceConnectionError, "Check the name"),
    "ssh: connect to host pi port 22: Connection timed out": (DeviceConnectionError, "switched on"),
    "ssh: connect to host pi port 22: No route to host": (DeviceConnectionError, "switched on"),
    "ssh: connect to host pi port 22: Connection refused": (DeviceConnectionError, "Start its SSH server"),
    "Connection timed out during banner exchange": (DeviceConnectionError, "Check that"),
    "kex_exchange_identification: Connection closed by remote host": (DeviceConnectionError, "on that port"),
    "Timeout, server pi not responding.": (DeviceConnectionError, "Run the same command again"),
    "client_loop: send disconnect: Broken pipe": (DeviceConnectionError, "what was there before goes on"),
    "": (DeviceConnectionError, "it was lost"),
    "pi@pi: Permission denied (publickey,password).": (DeviceAccessError, "ssh-copy-id pi@pi"),
    "Received disconnect: Too many authentication failures": (DeviceAccessError, "ssh-copy-id"),
}


@pytest.mark.parametrize("said", SAID)
def test_what_the_client_says_becomes_one_line_with_a_fix(said: str) -> None:
    kind, words = SAID[said]
    error = ssh_error(said, "pi@pi")
    assert type(error) is kind and words in str(error) and "\n" not in str(error) and "Received: " in str(error)
