from pathlib import Path

import pytest

from edge_sdk_runtime.bench.report import limits_between
from edge_sdk_runtime.bench.system import Board, BoardState, read_board, read_state
from tests.runtime.bench.boards import JETSON, PI, PLAIN_PC, THROTTLED_PI, board


def test_a_plain_pc(tmp_path: Path) -> None:
    root = board(tmp_path, PLAIN_PC)
    assert read_board(root) == Board("", "Some CPU @ 3.00GHz", 2, 1_024_000, "6.1.0")
    assert read_state(root) == BoardState(load=0.25)


def test_a_raspberry_pi(tmp_path: Path) -> None:
    root = board(tmp_path, PI)
    described = read_board(root)
    assert (described.model, described.cpu, described.cores) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72", 4)
    state = read_state(root)
    assert (state.governors, state.frequencies_mhz) == (("ondemand",), (1500, 600))
    assert (state.temperatures_c, state.hottest_c) == ({"cpu-thermal": 48.312}, 48.312)
    assert (state.throttled, state.throttled_since_start, state.readable) == ((), (), True)


def test_a_throttled_raspberry_pi_says_why(tmp_path: Path) -> None:
    state = read_state(board(tmp_path, THROTTLED_PI))
    assert state.throttled == ("under-voltage: the supply or its cable is too weak", "throttled")
    assert state.throttled_since_start == state.throttled


@pytest.mark.parametrize(
    ("flags", "now", "since"),
    [
        ("0x0", [], []),
        ("0x2", ["Arm frequency capped"], []),
        ("0x8", ["soft temperature limit active"], []),
        ("0x80000", [], ["soft temperature limit active"]),
        ("0x20000", [], ["Arm frequency capped"]),
        ("0xe0008", ["soft temperature limit active"], ["Arm frequency capped", "throttled", "soft temperature limit active"]),
    ],
)  # fmt: skip
def test_every_flag_of_a_raspberry_pi(tmp_path: Path, flags: str, now: list[str], since: list[str]) -> None:
    state = read_state(board(tmp_path, {**PI, "usr/bin/vcgencmd": f"#!/bin/sh\necho throttled={flags}\n"}))
    assert (list(state.throttled), list(state.throttled_since_start)) == (now, since)


def test_flags_come_from_the_kernel_where_the_tool_may_not_ask(tmp_path: Path) -> None:
    refused = {"usr/bin/vcgencmd": "#!/bin/sh\necho VCHI initialization failed\nexit 255\n"}
    kernel = {"sys/devices/platform/soc/soc:firmware/get_throttled": "4\n"}
    assert not read_state(board(tmp_path / "a", {**PI, **refused})).readable
    assert read_state(board(tmp_path / "b", {**PI, **refused, **kernel})).throttled == ("throttled",)


def test_a_jetson(tmp_path: Path) -> None:
    root = board(tmp_path, JETSON)
    assert (read_board(root).cpu, read_board(root).cores) == ("Cortex-A78AE", 6)
    state = read_state(root)
    assert state.power_mode == "15W"
    assert state.temperatures_c == {"cpu-thermal": 51.0}, "a zone that is off has no temperature"
    assert (state.throttled, state.counters) == ((), {"over-current oc1": 3}), "a fan limits nothing"


def test_a_clock_that_is_lowered_to_cool_is_limited(tmp_path: Path) -> None:
    lowered = {"sys/class/thermal/cooling_device1/cur_state": "1\n"}
    assert read_state(board(tmp_path, {**JETSON, **lowered})).throttled == ("clock lowered by cpu-throttle-alert",)


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    odd = {
        "sys/class/thermal/thermal_zone0/temp": "hot\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "<unknown>\n",
        "usr/bin/vcgencmd": "#!/bin/sh\necho throttled=?\n",
    }
    state = read_state(board(tmp_path, {**PI, **odd}))
    assert (state.temperatures_c, state.frequencies_mhz, state.readable) == ({}, (600,), False)
    assert read_state(tmp_path / "nothing") == BoardState()
    assert read_board(tmp_path / "nothing").cpu == "unknown"


@pytest.mark.parametrize(
    ("part", "name"), [("0xd03", "Cortex-A53"), ("0xd0b", "Cortex-A76"), ("0xfff", "Arm implementer 0x41, part 0xfff")]
)
def test_arm_processors_by_part(tmp_path: Path, part: str, name: str) -> None:
    information = f"processor : 0\nmodel name : ARMv7 Processor rev 4\nCPU implementer : 0x41\nCPU part : {part}\n"
    assert read_board(board(tmp_path, {"proc/cpuinfo": information})).cpu == name


def state(now: str = "", since: str = "", **counters: int) -> BoardState:
    return BoardState(throttled=tuple(now.split()), throttled_since_start=tuple(since.split()), counters=counters)


@pytest.mark.parametrize(
    ("states", "limits"),
    [
        ([state(), state()], ()),
        ([state("hot"), state()], ("hot",)),
        ([state(), state("hot"), state()], ("hot",)),
        ([state(), state("hot", "hot")], ("hot",)),
        ([state(since="weak"), state(since="weak")], ()),
        ([state(since="weak"), state(since="weak hot")], ("hot",)),
        ([state(heat=3), state(heat=3)], ()),
        ([state(heat=3), state(heat=5)], ("heat (2 times)",)),
        ([state(), state(heat=2)], ("heat (2 times)",)),
    ],
)
def test_what_limited_the_clock_meanwhile(states: list[BoardState], limits: tuple[str, ...]) -> None:
    assert limits_between(states) == limits


def test_this_machine_can_be_read() -> None:
    assert read_board().cores >= 1
    assert read_board().cpu
    assert isinstance(read_state(), BoardState)
