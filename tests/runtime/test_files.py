import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk_runtime.files import write_atomically


def test_writes_replaces_and_creates_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.edge"
    write_atomically(path, b"first")
    write_atomically(str(path), b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def raise_full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize(
    ("failure", "error"), [(raise_full_disk, OSError), (raise_interrupt, KeyboardInterrupt)], ids=["full", "ctrl-c"]
)
@pytest.mark.parametrize("existed", [True, False])
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: Callable[..., None],
    error: type[BaseException],
    existed: bool,
) -> None:
    path = tmp_path / "file.edge"
    if existed:
        path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, failure)
        with pytest.raises(error):
            write_atomically(path, b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"old"] if existed else [])


def test_the_bytes_are_on_disk_before_the_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.edge"
    steps: list[tuple[str, bytes]] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        fsync(descriptor)
        steps.append(("fsync", Path(f"/proc/self/fd/{descriptor}").read_bytes()))

    def recording_replace(self: Path, target: Path) -> Path:
        steps.append(("replace", self.read_bytes()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    write_atomically(path, b"content")
    assert steps == [("fsync", b"content"), ("replace", b"content")]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file.edge", b"content")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.edge").stat().st_mode) == mode
