import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_sdk_runtime import Bundle, BundleError, UsageError, teach, verify
from edge_sdk_runtime.teach.versions import BundleFile
from tests.runtime.helpers import changed
from tests.runtime.teach.helpers import CYAN, YELLOW, flat, frames


@pytest.fixture(scope="module")
def first() -> Bundle:
    return flat()


@pytest.fixture
def path(tmp_path: Path, first: Bundle) -> Path:
    path = tmp_path / "my mugs.edge"
    first.write(path)
    return path


def following(bundle: Bundle, version: int) -> Bundle:
    """The bundle as another version would be; nothing was taught."""
    return changed(bundle, version=version)


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_teaching_and_forgetting_a_file_keep_the_version_before(path: Path, first: Bundle) -> None:
    taught = teach.teach_file(path, {"yellow": frames(YELLOW, 4), "cyan": frames(CYAN, 4)})
    assert list(taught.report.durations_ns)[-1] == "write"
    assert Bundle.open(path).to_bytes() == taught.bundle.to_bytes()
    assert teach.version_path(path, 1).read_bytes() == first.to_bytes()
    teach.forget_file(path, "cyan")
    assert Bundle.open(path).manifest.labels == ("red", "green", "blue", "yellow")
    assert names(path) == ["my mugs.edge", "my mugs.edge.v1", "my mugs.edge.v2"]
    assert teach.undo_file(path).manifest.labels[-1] == "cyan"
    assert teach.undo_file(path).to_bytes() == first.to_bytes() == path.read_bytes()
    assert names(path) == ["my mugs.edge"]
    with pytest.raises(
        UsageError, match=r"needs the version before, my mugs\.edge\.v0.*Received: version 1 without it"
    ):
        teach.undo_file(path)


def test_no_more_versions_are_kept_than_asked_for(path: Path, first: Bundle) -> None:
    for version in range(2, 9):
        BundleFile.open(path).replace(following(first, version), keep=3)
    assert [version for version, _ in teach.kept_versions(path)] == [5, 6, 7]
    for version in (7, 6, 5):
        assert teach.undo_file(path).manifest.version == version
    with pytest.raises(UsageError, match="Received: version 5 without it"):
        teach.undo_file(path)
    with pytest.raises(UsageError, match=r"keep must be at least 1\. Received: 0"):
        BundleFile.open(path).replace(first, keep=0)


def test_what_somebody_else_changed_meanwhile_is_not_lost(path: Path, first: Bundle) -> None:
    file = BundleFile.open(path)
    other = following(first, 5)
    other.write(path)
    with pytest.raises(BundleError, match=r"must stay as it is while it is taught\. Received: .*, which was changed"):
        file.replace(following(first, 2))
    assert path.read_bytes() == other.to_bytes() and names(path) == ["my mugs.edge"]


def test_a_link_stays_a_link(path: Path, first: Bundle) -> None:
    link = path.with_name("link.edge")
    link.symlink_to(path.name)
    teach.teach_file(link, {"yellow": frames(YELLOW, 2)})
    assert link.is_symlink() and Bundle.open(path).manifest.version == 2
    assert teach.undo_file(link).manifest.version == 1 and link.is_symlink()
    assert path.read_bytes() == first.to_bytes()


def test_undo_takes_nothing_but_the_version_before(path: Path, first: Bundle) -> None:
    following(first, 3).write(path)
    teach.version_path(path, 2).write_bytes(b"not a bundle")
    with pytest.raises(BundleError, match=r"must be a whole \.edge file"):
        teach.undo_file(path)
    following(first, 7).write(teach.version_path(path, 2))
    with pytest.raises(UsageError, match=r"Received: my mugs\.edge\.v2, which has another encoder or number"):
        teach.undo_file(path)
    assert Bundle.open(path).manifest.version == 3


def test_a_folder_that_cannot_be_written_to_leaves_everything(path: Path, first: Bundle) -> None:
    file = BundleFile.open(path)
    # A folder stands where the version before would be kept: no rename onto it succeeds, whoever runs the test.
    teach.version_path(path, 1).mkdir()
    with pytest.raises(OSError, match="my mugs"):
        file.replace(following(first, 2))
    assert path.read_bytes() == first.to_bytes()
    assert names(path) == ["my mugs.edge", "my mugs.edge.v1"]


LOOP = """
import sys
sys.path.insert(0, sys.argv[2])
from edge_sdk_runtime import teach
from tests.runtime.teach.helpers import YELLOW, frames

print("ready", flush=True)
for number in range(1000):
    teach.teach_file(sys.argv[1], {f"yellow {number % 3}": frames(YELLOW, 2, number)}, keep=2)
    if number % 4 == 3:
        teach.undo_file(sys.argv[1])
"""


def test_killed_at_any_moment_the_bundle_opens_and_verifies(path: Path) -> None:
    root = Path(__file__).parents[3]
    rng = random.Random(1)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(path), str(root)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert verify(Bundle.open(path)).passed
        for _, kept in teach.kept_versions(path):
            Bundle.open(kept)
