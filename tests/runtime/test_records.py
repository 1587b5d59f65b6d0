import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime.records import dataclass, field


@dataclasses.dataclass(frozen=True)
class Standard:
    """What the standard library makes of the fields below."""

    name: str
    size: int = 7
    notes: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a negative size")


@dataclass(frozen=True)
class Light:
    """The same fields."""

    name: str
    size: int = 7
    notes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a negative size")

    def doubled(self) -> int:
        """Twice the size."""
        return 2 * self.size


@dataclass(frozen=True)
class Lighter(Light):
    """One field more."""

    tag: str = "none"


@dataclass(frozen=True)
class Pair:
    """Fields that can be hashed, and an order of its own in which it is told."""

    first: int
    second: str

    def __repr__(self) -> str:
        return f"{self.first}:{self.second}"


def outcome(kind: Any, values: list[Any], named: dict[str, Any]) -> str:
    """What constructing gives, as text that does not name the class."""
    try:
        return repr(vars(kind(*values, **named)))
    except (TypeError, ValueError) as error:
        return type(error).__name__


arguments = st.lists(st.integers(-1, 9), max_size=4)
keywords = st.dictionaries(st.sampled_from(["name", "size", "notes", "colour"]), st.integers(-1, 9), max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arguments, keywords)
def test_is_constructed_as_the_standard_one(values: list[Any], named: dict[str, Any]) -> None:
    assert outcome(Light, values, named) == outcome(Standard, values, named)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(TypeError, match=r"^Light\(\): .*'colour'"):
        Light("a", colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Light\(\): missing a required argument: 'name'"):
        Light()  # type: ignore[call-arg]


def test_equality_hash_and_text() -> None:
    assert (Light("a", 1), Light("a", 2)) == (Light("a", size=1), Light("a", 2))
    assert Light("a", 1) != Light("a", 2)
    assert Light("a", 1) != Standard("a", 1) and Light("a") != Lighter("a")
    assert repr(Light("a", 1)) == "Light(name='a', size=1, notes={})"
    assert (repr(Pair(1, "b")), hash(Pair(1, "b"))) == ("1:b", hash((1, "b")))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Light("a"))


def test_fields_cannot_be_changed_or_deleted() -> None:
    record = Light("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="'size'"):
        record.size = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="'size'"):
        del record.size
    assert record.size == 7


def test_made_defaults_are_not_shared() -> None:
    first, second = Light("a"), Light("a")
    assert first.notes is not second.notes
    assert not hasattr(Light, "notes") and Light.size == 7


def test_a_subclass_adds_fields() -> None:
    record = Lighter("a", tag="b")
    assert (record.doubled(), list(vars(record))) == (14, ["name", "size", "notes", "tag"])
    assert Lighter.__match_args__ == ("name", "size", "notes", "tag")
    with pytest.raises(ValueError, match="negative"):
        Lighter("a", -1)


def test_the_functions_of_dataclasses_work() -> None:
    record = Lighter("a", 3, {"b": 1})
    assert dataclasses.is_dataclass(record) and dataclasses.is_dataclass(Lighter)
    assert [(each.name, each.type) for each in dataclasses.fields(Light)] == [
        (each.name, each.type) for each in dataclasses.fields(Standard)
    ]
    assert dataclasses.asdict(record) == {"name": "a", "size": 3, "notes": {"b": 1}, "tag": "none"}
    assert dataclasses.astuple(record) == ("a", 3, {"b": 1}, "none")
    assert dataclasses.replace(record, size=4) == Lighter("a", 4, {"b": 1})
    with pytest.raises(ValueError, match="negative"):
        dataclasses.replace(record, size=-4)
    assert inspect.signature(Light).parameters.keys() == inspect.signature(Standard).parameters.keys()


def test_a_standard_dataclass_can_extend_one() -> None:
    @dataclasses.dataclass(frozen=True)
    class Extended(Light):
        more: int = 0

    assert Extended("a", 1, {}, 2) == Extended("a", 1, {}, more=2)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))])
def test_copies_are_equal(again: Any) -> None:
    assert again(Lighter("a", 3, {"b": 1})) == Lighter("a", 3, {"b": 1})


def test_match_statements_take_the_fields_in_order() -> None:
    match Pair(3, "x"):
        case Pair(3, text):
            assert text == "x"


def test_others_than_frozen_ones_are_refused() -> None:
    with pytest.raises(TypeError, match="frozen"):
        dataclass(frozen=False)


def test_defining_one_imports_neither_dataclasses_nor_inspect() -> None:
    script = (
        "import sys\nfrom edge_sdk_runtime.records import dataclass\n"
        "@dataclass(frozen=True)\nclass A:\n    x: int = 3\nA(4)\nprint({'dataclasses', 'inspect'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
