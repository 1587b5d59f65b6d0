import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import UsageError
from edge_sdk_runtime.affinity import check_processors, parse_processors, use_processors

ALLOWED = os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("text", "processors"),
    [("0", (0,)), ("2,3", (2, 3)), ("3, 1 ,3", (1, 3)), ("0-3", (0, 1, 2, 3)), ("4,0-1,1-2", (0, 1, 2, 4))],
)
def test_processors_are_read(text: str, processors: tuple[int, ...]) -> None:
    assert parse_processors(text) == processors


@given(st.sets(st.integers(0, 200), min_size=1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_what_is_listed_is_read_back(processors: set[int]) -> None:
    assert parse_processors(",".join(map(str, processors))) == tuple(sorted(processors))


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "3-1", "1-2-3", "1.5", "٣", "99999"])
def test_what_names_no_processors_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"must be numbers or ranges .*Received: '.*Write 0,1 or 0-3\.$"):
        parse_processors(text)


def test_processors_that_are_not_there_are_refused_and_nothing_changes() -> None:
    for processors in ((), (9999,), (*ALLOWED, 9999)):
        with pytest.raises(UsageError, match=r"among those that this process may use: \d.*Received: .*Choose among"):
            use_processors(processors)
    assert os.sched_getaffinity(0) == ALLOWED
    assert check_processors(sorted(ALLOWED)) == tuple(sorted(ALLOWED))


def test_a_system_that_does_not_let_choose_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    with pytest.raises(UsageError, match=r"can be chosen on Linux\. Received: 0 on"):
        check_processors((0,))


def test_every_thread_moves_also_those_that_libraries_started_before() -> None:
    script = """
import json, os, sys, threading
import cv2, numpy
from edge_sdk_runtime.affinity import use_processors
stop = threading.Event()
earlier = threading.Thread(target=stop.wait)
earlier.start()
use_processors([int(sys.argv[1])])
later = threading.Thread(target=stop.wait)
later.start()
seen = [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]
stop.set()
print(json.dumps([seen, cv2.getNumThreads()]))
"""
    chosen = max(ALLOWED)
    done = subprocess.run(
        [sys.executable, "-c", script, str(chosen)], capture_output=True, text=True, check=True, timeout=120
    )
    seen, opencv = json.loads(done.stdout)
    assert len(seen) >= 3
    assert all(processors == [chosen] for processors in seen)
    assert opencv == 1
