"""What a device tells of itself before anything is done there."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from ..detect import Facts, detect, system_for
from ..errors import DeviceError, ProfileError
from ..profile import Profile
from ..systems import System
from ..transports import ShellTransport

__all__ = ["Probe", "probe"]

_PYTHONS = "python3 python3.13 python3.12 python3.11 python3.10 $HOME/edge/bin/python"
# Any Python 3 runs it, and says that it is too old.
_TELL = """
import importlib.util, json, os, platform, struct, sys
def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace").strip("\\0 \\n")
    except (IOError, OSError):
        return ""
release = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
library, version = platform.libc_ver()
memory = [line.split()[1] for line in read("/proc/meminfo").splitlines() if line.startswith("MemTotal:")]
disk = os.statvfs(os.path.expanduser("~"))
complete = bool(importlib.util.find_spec("venv")) and any(map(importlib.util.find_spec, ("ensurepip", "pip")))
print(json.dumps({
    "machine": platform.machine(), "model": read("/proc/device-tree/model"), "bits": 8 * struct.calcsize("P"),
    "python": platform.python_version(), "glibc": version if library == "glibc" else "",
    "system": " ".join(release.get(key, "").strip('"') for key in ("ID", "VERSION_ID")).strip(),
    "cores": os.cpu_count() or 0, "memory_bytes": int(memory[0]) * 1024 if memory else 0,
    "executable": sys.executable, "home": os.path.expanduser("~"), "free_bytes": disk.f_bavail * disk.f_frsize,
    "complete": complete,
}))
"""
# Most boards have one Python under two names; a slow one is not asked twice. A manager of Pythons is one program under all names.
_SCRIPT = f"""
PATH="$PATH:$HOME/.local/bin"
asked=" "
for python in {_PYTHONS}; do
    found=$(command -v "$python" 2>/dev/null) || continue
    real=$(readlink -f "$found" 2>/dev/null) || real="$found"
    case "$real" in */python*) case "$asked" in *" $real "*) continue;; esac;; esac
    asked="$asked$real "
    "$python" -c {shlex.quote(_TELL)} 2>/dev/null
done
printf '{{"machine": "%s"}}\\n' "$(uname -m)"
"""


@dataclass(frozen=True)
class Probe:
    """What a device is.

    Attributes:
        facts: What it tells of itself, with the Python that is used.
        python: That Python's path; empty where the runtime can run with none of those that are there.
        complete: Whether that Python can make environments.
        home: The home folder.
        free_bytes: Room on its disk.
        profile: The kind of board.
        system: Its operating system; None where the runtime cannot run there.
        trouble: Why not; empty where it can.
    """

    facts: Facts
    python: str
    complete: bool
    home: str
    free_bytes: int
    profile: Profile
    system: System | None
    trouble: str = ""

    @property
    def usable_system(self) -> System:
        """Its operating system.

        Raises:
            ProfileError: The runtime cannot run there; says what to do.
        """
        if self.system is None:
            raise ProfileError(self.trouble)
        return self.system


def probe(transport: ShellTransport) -> Probe:
    """Ask a device what it is, and choose the first of its Pythons that the runtime can run with.

    Args:
        transport: The way to it.

    Raises:
        DeviceError: It cannot be reached, or gives no answer.
        ProfileError: The SDK knows nothing of such machines.
    """
    done = transport.check(transport.run(_SCRIPT), "A device must tell what it is")
    answers = [_answer(line, transport.address) for line in done.text.splitlines() if line.startswith("{")]
    if not answers:
        raise DeviceError(
            f"A device must tell what it is. Received: {done.reason!r} from {transport.address}. Look what its shell prints."
        )
    candidates = [_probed(answer, transport.address) for answer in answers]
    return next((each for each in candidates if each.system), candidates[0])


def _answer(line: str, address: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError as error:
        raise DeviceError(f"A device must tell what it is. Received: {line!r} from {address}. Try again.") from error


def _probed(answer: dict[str, Any], address: str) -> Probe:
    facts = Facts.from_json(answer, address)
    profile = detect(facts)
    system, trouble = None, ""
    try:
        system = system_for(profile, facts)
    except ProfileError as error:
        trouble = str(error)
    return Probe(
        facts,
        str(answer.get("executable", "")) if system else "",
        bool(answer.get("complete", False)),
        str(answer.get("home", "")),
        int(answer.get("free_bytes", 0)),
        profile,
        system,
        trouble,
    )
