from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk_devices import deploy as package
from edge_sdk_devices.checkup import check_up
from edge_sdk_devices.deploy import DeployPlan, Service, deploy, probe, roll_back
from edge_sdk_devices.deploy.remote import Remote
from edge_sdk_devices.errors import DeployError, DeviceConnectionError, DeviceError, ProfileError
from edge_sdk_devices.logs import read_logs
from edge_sdk_devices.transports import FakeTransport, LocalTransport, Result
from tests.devices.bundles import colour_bundle
from tests.devices.ssh_server import Server

pytestmark = pytest.mark.usefixtures("one_python")

VERIFIES = Result(0, b"Verified: all of it.\n")


class Device(LocalTransport):
    """A folder of this machine that plays a device; `edge-run verify` may be answered in its place, since it takes long.

    `lost_before` is the command before which the connection breaks, for good.
    """

    def __init__(self, home: Path, verification: Result | None = VERIFIES, lost_before: int | None = None) -> None:
        super().__init__(home)
        self.verification = verification
        self.lost_before = lost_before
        self.count = 0

    def run(self, command: str, data: bytes = b"", timeout: float = 60) -> Result:
        if self.count == self.lost_before:
            raise DeviceConnectionError("The connection must last. Received: it was lost. Run the same command again.")
        self.count += 1
        if self.verification and "edge_sdk_runtime verify" in command:
            return self.verification
        return super().run(command, data, timeout)


def plan(bundle: Path, **options: object) -> DeployPlan:
    return DeployPlan(bundle, **{"environment": sys.prefix, "name": "colours", **options})  # type: ignore[arg-type]


def deployed(home: Path) -> Path:
    return home / ".local/share/edge-sdk/bundles/colours"


def releases(home: Path) -> set[str]:
    return {path.name for path in (deployed(home) / "releases").iterdir()}


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[int], Path]:
    """Different bundles that all verify, by number."""

    def write(number: int, **changes: object) -> Path:
        path = tmp_path / f"{number}.edge"
        colour_bundle(version=number, **changes).write(path)
        return path

    return write


def test_public_names() -> None:
    assert package.__all__ == [
        "DeployPlan",
        "Deployment",
        "Probe",
        "RuntimeWheel",
        "Service",
        "deploy",
        "probe",
        "roll_back",
        "runtime_wheel",
    ]
    assert all((getattr(package, name).__doc__ or "").strip() for name in package.__all__)


def test_from_nothing_to_a_verified_bundle_and_no_further_to_a_wrong_one(
    tmp_path: Path, bundle: Callable[..., Path]
) -> None:
    home, first = tmp_path / "home", bundle(1)
    device = Device(home, verification=None)
    told: list[str] = []
    done = deploy(plan(first), device, told.append)
    assert done.changed and done.before == "" and done.verified.startswith("Verified: 3 golden frames")
    assert Path(done.path).read_bytes() == first.read_bytes()
    assert not done.emulated and done.environment == sys.prefix and told[0].startswith(f"local:{home} is ")
    broken = tmp_path / "broken.edge"
    colour_bundle(broken=True).write(broken)
    with pytest.raises(DeployError, match=rf"must verify.*Not verified.*; release {done.release} goes on"):
        deploy(plan(broken), device)
    assert releases(home) == {done.release} and Path(done.path).read_bytes() == first.read_bytes()
    found = check_up(device)
    assert found.healthy and f"release {done.release}" in dict(found.rows())["bundle colours"]
    assert "refused colours" in read_logs(device) and "deploy colours" in read_logs(device)
    assert not list((home / ".local/share/edge-sdk/incoming").iterdir())


def test_a_second_time_changes_nothing_and_older_releases_go(tmp_path: Path, bundle: Callable[..., Path]) -> None:
    home, device = tmp_path / "home", Device(tmp_path / "home")
    names = []
    for number in (1, 2, 3):
        done = deploy(plan(bundle(number)), device)
        names.append(done.release)
        assert done.before == (names[-2] if number > 1 else "")
    assert releases(home) == set(names[1:])
    commands = device.count
    again = deploy(plan(bundle(3)), device)
    assert not again.changed and again.release == names[2] and device.count - commands == 4
    assert roll_back(device, "colours") == names[1] and (deployed(home) / "current").resolve().name == names[1]
    assert roll_back(device, "colours") == names[2]
    (deployed(home) / "current" / "colours.edge").write_bytes(b"altered")
    assert "altered colours" in check_up(device).troubles[0]
    assert deploy(plan(bundle(3)), device).changed
    assert (deployed(home) / "current" / "colours.edge").read_bytes() == bundle(3).read_bytes()


def test_a_connection_lost_at_any_step_leaves_a_whole_version(tmp_path: Path, bundle: Callable[..., Path]) -> None:
    home = tmp_path / "home"
    first = deploy(plan(bundle(1)), Device(home))
    current = []
    for step in range(20):
        try:
            deploy(plan(bundle(2)), Device(home, lost_before=step))
        except DeviceConnectionError:
            current.append((deployed(home) / "current").resolve().name)
            content = (deployed(home) / "current" / "colours.edge").read_bytes()
            assert content == bundle(1 if current[-1] == first.release else 2).read_bytes()
        else:
            break
    switched = [name != first.release for name in current]
    assert switched == sorted(switched) and switched[0] is False and switched[-1] is True
    assert releases(home) == {first.release, current[-1]}
    assert not list((home / ".local/share/edge-sdk/incoming").iterdir())


class WithSystemd(Device):
    """A device whose service ends at once with every bundle but the first."""

    good = ""

    def run(self, command: str, data: bytes = b"", timeout: float = 60) -> Result:
        if not any(word in command for word in ("systemctl", "journalctl", "loginctl")):
            return super().run(command, data, timeout)
        stays = (deployed(self._home) / "current").resolve().name == self.good
        return Result(3, b"failed\n") if "is-active" in command and not stays else Result(0, b"")


def test_where_the_service_does_not_stay_the_release_before_comes_back(
    tmp_path: Path, bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    device = WithSystemd(tmp_path / "home")
    device.good = deploy(plan(bundle(1)), device).release
    served = deploy(plan(bundle(1), service=Service("usb:1")), device)
    assert served.lingers and not served.changed
    assert "usb:1" in (tmp_path / "home/.config/systemd/user/edge-sdk-colours.service").read_text()
    with pytest.raises(DeployError, match=f"The service must stay.*; release {device.good} is back"):
        deploy(plan(bundle(2)), device)
    assert (deployed(tmp_path / "home") / "current").resolve().name == device.good


def test_what_cannot_be_deployed_is_refused_before_anything_is_done(
    tmp_path: Path, bundle: Callable[..., Path]
) -> None:
    old = {
        "machine": "aarch64",
        "python": "3.9.2",
        "glibc": "2.31",
        "system": "debian 11",
        "executable": "/usr/bin/python3",
    }
    for answer, words in (
        (old, r"Received: 3\.9\. Install one of them"),
        (old | {"model": "Raspberry Pi 4 Model B"}, r"Python 3\.9 is too old .*install Bookworm"),
        ({"machine": "armv6l"}, "must be one of"),
        ({"machine": "aarch64"}, "Received: none"),
        (
            old | {"bits": 32, "system": "raspbian 13", "python": "3.13.5", "model": "Raspberry Pi 4 Model B"},
            "install the 64-bit",
        ),
    ):
        fake = FakeTransport(lambda command, data, answer=answer: Result(0, json.dumps(answer).encode()))
        with pytest.raises(ProfileError, match=words):
            deploy(plan(bundle(1)), fake)
        assert len(fake.commands) == 1 and not fake.files
    with pytest.raises(DeviceError, match="must tell what it is"):
        probe(FakeTransport(lambda command, data: Result(0, b"Welcome!\n")))
    with pytest.raises(DeployError, match="An environment must hold the runtime"):
        deploy(plan(bundle(1), environment="~/none"), Device(tmp_path / "home"))


def test_plans_are_checked(tmp_path: Path) -> None:
    assert DeployPlan(tmp_path / "mugs.edge").bundle_name == "mugs"
    for name in ("two words", "../up", ".hidden", "ü"):
        with pytest.raises(DeployError, match="A name must be"):
            DeployPlan(tmp_path / "mugs.edge", name)
    with pytest.raises(DeployError, match="takes nothing else"):
        DeployPlan(tmp_path / "mugs.edge", environment="~/edge", offline=True)
    with pytest.raises(DeployError, match="source must be one line"):
        Service("usb:0\nExecStart=evil")


@pytest.mark.ssh
def test_the_same_over_ssh(ssh_server: Server, tmp_path: Path, bundle: Callable[..., Path]) -> None:
    """The account's home folder is not the test's, so that everything happens in a folder of its own there."""
    home = tmp_path / "home"
    home.mkdir()
    with ssh_server.connect() as transport:
        run = transport.run

        def at_home(command: str, data: bytes = b"", timeout: float = 60) -> Result:
            if "edge_sdk_runtime verify" in command:
                return VERIFIES
            return run(f"export HOME={shlex.quote(str(home))} PATH=$PATH; cd; {command}", data, timeout)

        transport.run = at_home  # type: ignore[method-assign]
        done = deploy(plan(bundle(1)), transport)
        assert Path(done.path).read_bytes() == bundle(1).read_bytes() and str(home) in done.path
        assert Remote(transport, sys.executable).bundle_state("colours").current == done.release
