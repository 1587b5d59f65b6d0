from email.message import Message
from urllib.error import HTTPError

import pytest

from edge_sdk_runtime.cli.text import error_text, format_bytes, format_ns, format_table, json_number


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1 µs"),
        (42_345, "42.3 µs"),
        (999_499, "999 µs"),
        (999_500, "1 ms"),
        (999_999, "1 ms"),
        (1_239_000, "1.24 ms"),
        (999_499_999, "999 ms"),
        (999_500_000, "1.00 s"),
        (2_104_000_000, "2.10 s"),
        (75_000_000_000, "75.00 s"),
    ],
)
def test_durations_have_a_unit_that_suits_them(nanoseconds: int, text: str) -> None:
    assert format_ns(nanoseconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (38_449, "38.4 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.00 MB"),
        (1_270_000, "1.27 MB"),
    ],
)
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_columns_are_aligned_and_lines_end_where_their_text_does() -> None:
    rows = [("name", "value", ""), ("a", "1", "ok"), ("longer", "22", "")]
    assert format_table(rows) == "name    value\na       1      ok\nlonger  22"


@pytest.mark.parametrize(
    ("value", "number"),
    [(0.25, 0.25), (0.0, 0.0), (float("nan"), None), (float("inf"), None), (-float("inf"), None)],
)
def test_what_json_cannot_say_is_null(value: float, number: float | None) -> None:
    assert json_number(value) == number


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file", "a.txt"), "Received: a.txt (No such file). Check the path."),
        (PermissionError(13, "Permission denied", "a.txt"), "a.txt (Permission denied). Change its permissions, or"),
        (IsADirectoryError(21, "Is a directory", "a"), "Received: a (Is a directory). Check what it is"),
        (ValueError("Rule. Received: x. Fix."), "Rule. Received: x. Fix."),
        (HTTPError("http://localhost", 404, "Not Found", Message(), None), "HTTP Error 404: Not Found"),
    ],
)
def test_errors_of_the_system_say_the_file_and_the_fix_as_ours_do(error: Exception, text: str) -> None:
    assert text in error_text(error)
