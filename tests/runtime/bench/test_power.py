import time
from pathlib import Path

import pytest

from edge_sdk_runtime.bench.power import PowerMeter, PowerRail, find_rails, whole_board
from tests.runtime.bench.boards import JETSON, PI, board

JETPACK_4 = {
    f"sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/{name}": content
    for name, content in {
        "rail_name_0": "POM_5V_IN\n",
        "in_power0_input": "2800\n",
        "rail_name_1": "POM_5V_GPU\n",
        "in_power1_input": "123\n",
    }.items()
}


def test_rails_of_a_jetson_are_volts_times_amperes(tmp_path: Path) -> None:
    rails = find_rails(board(tmp_path, JETSON))
    assert {rail.name: rail.watts() for rail in rails} == {"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 2.0}


def test_rails_of_an_older_jetson_are_milliwatts(tmp_path: Path) -> None:
    rails = find_rails(board(tmp_path, JETPACK_4))
    assert {rail.name: rail.watts() for rail in rails} == {"POM_5V_IN": 2.8, "POM_5V_GPU": 0.123}


def test_a_board_without_sensors_has_no_rails(tmp_path: Path) -> None:
    assert find_rails(board(tmp_path, PI)) == ()
    with PowerMeter(()) as meter:
        assert meter.power([(0, 10**18)], 5) is None


def test_the_whole_board_is_its_input_or_the_sum_of_its_rails() -> None:
    assert whole_board({"VDD_IN": 6.0, "VDD_CPU": 2.0}) == 6.0
    assert whole_board({"GPU": 1.0, "CPU": 2.0, "SYS5V": 3.5}) == 6.5


def test_energy_is_power_times_time_per_run(tmp_path: Path) -> None:
    rails = find_rails(board(tmp_path, JETSON))
    with PowerMeter(rails, interval_s=0.005) as meter:
        begin = time.perf_counter_ns()
        while meter.power([(begin, time.perf_counter_ns())], 1) is None:
            time.sleep(0.005)
        end = time.perf_counter_ns()
    power = meter.power([(begin, end)], runs=10)
    assert power is not None
    assert (power.watts, power.rails_w) == (pytest.approx(6.0), pytest.approx({"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 2.0}))
    assert power.joules_per_run == pytest.approx(6.0 * (end - begin) / 1e9 / 10)
    assert meter.power([(end + 1, end + 2)], 10) is None, "without readings there is no figure"


def test_a_sensor_that_does_not_answer_gives_no_figure(tmp_path: Path) -> None:
    assert PowerRail("x", (tmp_path / "absent",)).watts() is None
