from pathlib import Path

import pytest

from edge_sdk_runtime.cameras import open_camera
from edge_sdk_runtime.errors import CameraEndedError, CameraUnavailableError
from tests.runtime.cameras.players import image_file, picture, until


def test_a_folders_pictures_come_by_name_and_unreadable_ones_are_skipped(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.PNG", 1), ("c.jpg", 3), (".hidden.png", 4)):
        image_file(tmp_path / name, picture(value))
    (tmp_path / "b1.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("not one either")
    (tmp_path / "folder.png").mkdir()
    with open_camera(f"images:{tmp_path}") as camera:
        frames = list(camera)
        with pytest.raises(CameraEndedError, match="all 4 files"):
            camera.read()
    assert [(Path(frame.name).name, int(frame.image[0, 0, 0])) for frame in frames] == [
        ("a.PNG", 1),
        ("b.png", 2),
        ("c.jpg", 3),
    ]
    assert camera.counts == (3, 0, 0, 1)


def test_a_folder_plays_live_too(tmp_path: Path) -> None:
    for i in range(5):
        image_file(tmp_path / f"{i}.png", picture(i))
    with open_camera(f"images:{tmp_path}", live=True, fps=500, flip="horizontal") as camera:
        until(lambda: camera.counts.delivered == 5)
        assert [frame.sequence for frame in camera] == [4]
        assert camera.counts.dropped == 4


def test_folders_that_are_none_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnavailableError, match=r"must hold image files. Received: none of .bmp, "):
        open_camera(f"images:{tmp_path}")
    for kind in ("images", "watch"):
        with pytest.raises(CameraUnavailableError, match="No such file or directory"):
            open_camera(f"{kind}:{tmp_path / 'absent'}")


def test_a_watched_folder_gives_what_appears_once_it_is_whole(tmp_path: Path) -> None:
    image_file(tmp_path / "before.png", picture(1))
    whole = image_file(tmp_path / "whole.png", picture(9)).read_bytes()
    (tmp_path / "whole.png").unlink()
    with open_camera(f"watch:{tmp_path}") as camera:
        assert camera.poll(0.05) is None
        (tmp_path / "new.png").write_bytes(whole[:40])
        assert camera.poll(0.5) is None
        (tmp_path / "new.png").write_bytes(whole)
        frame = camera.read(20)
    assert (Path(frame.name).name, int(frame.image[0, 0, 0])) == ("new.png", 9)
