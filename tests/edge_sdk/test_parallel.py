import pytest

from edge_sdk.parallel import in_chunks


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100])
def test_every_position_is_worked_on_once(count: int) -> None:
    seen: list[int] = []
    in_chunks(seen.extend, count)
    assert sorted(seen) == list(range(count))


def test_progress_grows_to_the_total() -> None:
    told: list[tuple[int, int]] = []
    in_chunks(lambda positions: None, 50, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (50, 50)


def test_an_error_in_the_work_is_raised() -> None:
    def fail(positions: range) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_chunks(fail, 1000)


def test_an_error_in_progress_ends_the_work() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_chunks(lambda positions: None, 1000, stop)
