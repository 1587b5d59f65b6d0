"""What a deployment does on the device; its text is run there by the device's own Python, with nothing but the standard library.

`python - ACTION JSON`, this text on standard input; the answer is one line of JSON. Every action may be interrupted at any moment
and done again: what is made gets its name by one rename when it is whole, and links are switched by one rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["main"]

_READY = "ready.json"
_RELEASE = "release.json"


def main() -> None:
    """Do one action and print its answer."""
    os.umask(0o022)
    action, request = sys.argv[1], json.loads(sys.argv[2])
    root = Path(request["root"]).expanduser()
    root.mkdir(parents=True, exist_ok=True)
    print(json.dumps(_ACTIONS[action](root, request)))


def _state(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Everything that is deployed."""
    del request
    bundles = root / "bundles"
    names = sorted(path.name for path in bundles.iterdir() if path.is_dir()) if bundles.is_dir() else []
    return {
        "environments": [path.parent.name for path in sorted(root.glob(f"environments/*/{_READY}"))],
        "bundles": {name: _bundle_state(bundles / name) for name in names},
    }


def _bundle_state(folder: Path) -> dict[str, Any]:
    releases = {}
    for record in sorted(folder.glob(f"releases/*/{_RELEASE}")):
        bundle = record.parent / f"{folder.name}.edge"
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest() if bundle.is_file() else ""
        environment = os.path.realpath(record.parent / "environment")
        releases[record.parent.name] = {**json.loads(record.read_text()), "found": digest, "environment": environment}
    return {"current": _linked(folder / "current"), "previous": _linked(folder / "previous"), "releases": releases}


def _environment(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Make an environment, or wait for another deployment that is making it."""
    folder = root / "environments" / request["name"]
    with _locked(root) as lock:
        if not (folder / _READY).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                _make_environment(folder, request, lock)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            _write(folder / _READY, json.dumps({"made": _now(), "runtime": request["runtime"]}))
        shutil.rmtree(root / "wheelhouse", ignore_errors=True)
    _log(root, "environment", request["name"])
    return {"path": str(folder)}


def _make_environment(folder: Path, request: dict[str, Any], lock: int) -> None:
    see = ["--system-site-packages"] if request["system_packages"] else []
    python, own_pip = str(folder / "bin" / "python"), _installs_elsewhere()
    # Putting pip into the environment takes a slow board longer than everything else but OpenCV.
    without = ["--without-pip"] if own_pip else []
    _call([sys.executable, "-m", "venv", *see, *without, str(folder)], lock)
    constraints = folder / "constraints.txt"
    constraints.write_text(request["constraints"])
    pip = [sys.executable, "-m", "pip", "--python", python] if own_pip else [python, "-m", "pip"]
    # A fifth of what is installed is ever imported; Python compiles that, and keeps it, when the bundle is verified.
    pip += ["install", "--quiet", "--no-compile", "--disable-pip-version-check", "--no-input"]
    if request["wheelhouse"]:
        pip += ["--no-index", "--find-links", str(Path(request["wheelhouse"]).expanduser())]
    elif request["extra_index"]:
        pip += ["--extra-index-url", request["extra_index"]]
    wheel = str(Path(request["wheel"]).expanduser())
    asked = [*pip, "--constraint", str(constraints), *request["requirements"]]
    if request["alone"]:
        _call(asked, lock)
        _call([*pip, "--no-deps", wheel], lock)
    else:
        _call([*asked, wheel], lock)


def _installs_elsewhere() -> bool:
    """Whether this Python has a pip that installs into other environments, as it can since 22.3."""
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    numbers = [int(part) for part in words[1].split(".")[:2] if part.isdigit()] if len(words) > 1 else []
    return done.returncode == 0 and numbers >= [22, 3]


def _call(command: list[str], lock: int) -> None:
    """Run a program that holds the lock as long as it lives, even where this one is killed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, pass_fds=(lock,)
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        full = [line for line in lines if "No space left" in line]
        told = (full or errors or lines[-1:] or [f"exit status {done.returncode}"])[0]
        if "ensurepip" in done.stdout:
            told = "this Python cannot make environments; run: sudo apt install python3-venv"
        sys.exit(f"{command[2]}: {told}")


def _stage(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Put a release together from a bundle that has arrived; nothing uses it yet."""
    releases = root / "bundles" / request["name"] / "releases"
    folder, incoming = releases / request["release"], Path(request["incoming"]).expanduser()
    if hashlib.sha256(incoming.read_bytes()).hexdigest() != request["sha256"]:
        incoming.unlink()
        sys.exit(f"{incoming.name} did not arrive as it was sent; try again")
    with _locked(root):
        part = releases / f".{request['release']}.{os.getpid()}.part"
        part.mkdir(parents=True)
        incoming.replace(part / f"{request['name']}.edge")
        (part / "environment").symlink_to(Path(request["environment"]).expanduser())
        _write(part / _RELEASE, json.dumps({"sha256": request["sha256"], "deployed": _now()}))
        if folder.exists():  # what is there was damaged
            _remove(folder)
        part.replace(folder)
        _sync(releases)
    return {"path": str(folder)}


def _switch(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Make a release the current one."""
    folder = root / "bundles" / request["name"]
    if not (folder / "releases" / request["release"] / _RELEASE).is_file():
        sys.exit(f"{request['name']} has no release {request['release']}")
    with _locked(root):
        before = _linked(folder / "current")
        if before != request["release"]:
            if before:
                _link(folder / "previous", before)
            _link(folder / "current", request["release"])
    _log(root, request.get("why", "deploy"), f"{request['name']} {request['release']}")
    return {"before": before}


def _discard(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Take a release away that nothing uses."""
    folder = root / "bundles" / request["name"]
    with _locked(root):
        used = request["release"] in (_linked(folder / "current"), _linked(folder / "previous"))
        if not used:
            _remove(folder / "releases" / request["release"])
            if not _linked(folder / "current"):
                shutil.rmtree(folder, ignore_errors=True)
    _log(root, "refused", f"{request['name']} {request['release']}: {request['reason']}")
    return {"discarded": not used}


def _prune(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Take away what no current or previous release needs, and what interrupted deployments left."""
    del request
    with _locked(root):
        kept = set()
        for folder in root.glob("bundles/*"):
            used = {_linked(folder / "current"), _linked(folder / "previous")}
            for release in (*folder.glob("releases/*"), *folder.glob("releases/.*.part")):
                if release.name in used:
                    kept.add(os.path.realpath(release / "environment"))
                else:
                    _remove(release)
        gone = [path for path in root.glob("environments/*") if os.path.realpath(path) not in kept]
        for path in (*gone, *root.glob("incoming/*"), root / "wheelhouse"):
            _remove(path)
    return {"removed": len(gone)}


def _remove(path: Path) -> None:
    """Take a file or folder away; what is left of it after an interruption is never taken for whole."""
    for mark in (_READY, _RELEASE):
        (path / mark).unlink(missing_ok=True) if path.is_dir() else None
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(path: Path, release: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(f"releases/{release}")
    part.replace(path)
    _sync(path.parent)


def _linked(path: Path) -> str:
    return path.readlink().name if path.is_symlink() else ""


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Let renames in a folder reach the disk before what comes after them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[int]:
    """One deployment at a time changes what is there; the kernel lets go of the lock of a process that was killed."""
    with (root / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _log(root: Path, action: str, what: str) -> None:
    with (root / "deploy.log").open("a") as file:
        file.write(f"{_now()} {action} {what}\n")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


_ACTIONS = {
    "state": _state,
    "environment": _environment,
    "stage": _stage,
    "switch": _switch,
    "discard": _discard,
    "prune": _prune,
}

if __name__ == "__main__":
    main()
