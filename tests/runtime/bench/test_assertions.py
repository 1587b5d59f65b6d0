import pytest

from edge_sdk_runtime import UsageError
from edge_sdk_runtime.bench import check, parse_assertion
from tests.runtime.bench.boards import measurement

MEASURED = measurement([2_000_000 + i for i in range(300)])


@pytest.mark.parametrize(
    ("text", "stage", "metric", "relation", "limit"),
    [
        ("p95<20ms", "total", "p95", "<", 20e6),
        ("embed.p95<5ms", "embed", "p95", "<", 5e6),
        (" p50 <= 850 us ", "total", "p50", "<=", 850e3),
        ("p99<.5s", "total", "p99", "<", 5e8),
        ("max<12µs", "total", "max", "<", 12e3),
        ("head.p90<700ns", "head", "p90", "<", 700),
        ("rss<90MB", "", "rss", "<", 90e6),
        ("rss<90MiB", "", "rss", "<", 90 * 1024**2),
        ("rss<=64000kB", "", "rss", "<=", 64e6),
        ("import<1.5s", "", "import", "<", 1.5e9),
        ("start<2s", "", "start", "<", 2e9),
        ("fps>=30", "", "fps", ">=", 30),
    ],
)
def test_a_demand_is_read(text: str, stage: str, metric: str, relation: str, limit: float) -> None:
    read = parse_assertion(text)
    assert (read.stage, read.metric, read.relation) == (stage, metric, relation)
    assert read.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    "text",
    ["", "p95", "p95=20ms", "p95<", "p95<ms", "p95<20", "p95<20MB", "rss<20ms", "p80<1ms", "p95<-1ms", "p95<1e3ms",
     "embed.rss<9MB", "p95<20ms; p50<1ms", "embed.p95.p50<1ms", "p95<20 m s", "p95<nan", "fps>30ms", "p95 < 1,5ms"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"Received: ") as info:
        parse_assertion(text)
    assert "\n" not in str(info.value)
    assert repr(text) in str(info.value)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("p50<2.1ms", True),
        ("p50<2ms", False),
        ("preprocess.p99<3ms", True),
        ("rss<68MB", False),
        ("rss<=68MB", True),
        ("fps>49", True),
        ("fps>50", False),
        ("import<=100ms", True),
        ("load<1ms", False),
        ("first<2ms", True),
        ("start<=121ms", True),
        ("start<121ms", False),
    ],
)
def test_a_demand_is_held_against_a_measurement(text: str, passed: bool) -> None:
    assert check(parse_assertion(text), MEASURED).passed is passed


def test_a_stage_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one of preprocess, total\. Received: 'embed\.p95<5ms'"):
        check(parse_assertion("embed.p95<5ms"), MEASURED)
