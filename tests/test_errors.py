"""Foreign exceptions reach the user as errors of faithlens; programming errors of faithlens stay what they are."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.errors import (
    ConfigError,
    FaithlensError,
    ModelError,
    PlanError,
    check_fields,
    describe_crash,
    describe_foreign,
    escape_controls,
    list_several,
    suggest_names,
    suggest_path,
    translate_errors,
)

PACKAGE = Path(fl.__file__).parent


def run_as_own(line: str) -> None:
    """Run a line as if it stood in a file of faithlens."""
    exec(compile(line, str(PACKAGE / "model" / "made_up.py"), "exec"), {"json": json, "torch": torch})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("open('/nowhere/x')", "FileNotFoundError"),
        ("json.loads('{')", "JSONDecodeError"),
        ("json.loads('[' * 10**5)", "RecursionError"),
        ("torch.ones(2) @ torch.ones(3)", "RuntimeError"),
        ("bytes([255]).decode()", "UnicodeDecodeError"),
        ("raise MemoryError", "MemoryError"),
        ("json.loads(7)", "TypeError"),
    ],
)
def test_what_libraries_and_the_system_raise_is_translated(line: str, reason: str) -> None:
    with (
        pytest.raises(ModelError, match=f"^it cannot be read: {reason}") as caught,
        translate_errors(ModelError, "it cannot be read", "Look."),
    ):
        run_as_own(line)
    assert type(caught.value.__cause__).__name__ == reason
    assert caught.value.fix == "Look."


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("1 / 0", ZeroDivisionError),
        ("nothing", NameError),
        ("{}['a']", KeyError),
        ("assert 1 > 2", AssertionError),
        ("len(5)", TypeError),
    ],
)
def test_programming_errors_pass(line: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), translate_errors(ModelError, "it cannot be read", "Look."):
        run_as_own(line)


def test_a_misspelled_path_has_its_neighbour_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("questions.jsonl").touch()
    Path("my-model").mkdir()
    with pytest.raises(FaithlensError, match=r"Did you mean 'questions\.jsonl'\? Known names"):
        fl.load_task("questions.jsnol")
    with pytest.raises(FaithlensError, match=r"Did you mean 'questions\.jsonl'\? Check the path"):
        fl.load_task("question.jsonl")
    with pytest.raises(ModelError, match=r"Did you mean 'my-model'\?"):
        fl.load("./my-modle")
    assert suggest_path("nowhere/at/all") == suggest_path("a\0b") == ""


def test_our_errors_pass() -> None:
    with pytest.raises(PlanError, match="no plan"), translate_errors(ModelError, "it cannot be read", "Look."):
        raise PlanError("no plan", "Make one.")


def test_a_foreign_message_is_one_short_line_without_control_characters() -> None:
    with pytest.raises(ModelError) as caught, translate_errors(ModelError, "it cannot be read", "Look."):
        raise ValueError("\n\n\x1b[31mred \u202e" + "x" * 5000 + "\nmore")
    problem = caught.value.problem
    assert problem.startswith(r"it cannot be read: ValueError: \x1b[31mred \u202exxx")
    assert len(problem) < 400
    assert "\n" not in problem


def test_a_line_that_announces_the_next_one_is_shown_with_it() -> None:
    error = ValueError("Class validation error for 'check':\n\n    ValueError: hidden_size must be 0\nmore")
    assert describe_foreign(error) == (
        "ValueError: Class validation error for 'check': ValueError: hidden_size must be 0"
    )
    assert describe_foreign(ValueError("only this:")) == "ValueError: only this:"
    assert describe_foreign(ValueError()) == "ValueError"


def test_what_the_code_of_a_model_raises_is_shown_with_its_place() -> None:
    scope: dict = {}
    exec(compile("def run(mask):\n    return mask[0]", "/x/modeling_made_up.py", "exec"), scope)
    with pytest.raises(TypeError) as caught:
        scope["run"](None)
    assert describe_crash(caught.value) == (
        "its code fails in line 2 of modeling_made_up.py with TypeError: 'NoneType' object is not subscriptable"
    )
    assert describe_crash(KeyError("a")) == "its code fails with KeyError: 'a'"


def test_escapes() -> None:
    assert escape_controls("a\tb\x07é\n漢\ud800") == "a\\tb\\x07é\n漢\\ud800"


def test_one_text_is_one_value_and_not_its_letters() -> None:
    assert list_several("word") == ["word"]
    assert list_several(["a", "b"]) == list_several(("a", "b")) == ["a", "b"]
    assert [list_several(3), list_several([])] == [[3], []]


def test_suggestions_are_sentences() -> None:
    assert suggest_names("aple", ["pear", "apple"]) == "Did you mean 'apple'? Known names: apple, pear."
    assert suggest_names("zzz", ["pear", "apple"]) == "Known names: apple, pear."


@dataclass(frozen=True)
class Settings:
    n: int | None = None
    share: float = 0.5
    name: str = "x"
    is_on: bool = False
    words: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"
    other: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("fields", "stated"),
    [
        ({"n": "3"}, "n must be None or a whole number, got '3'"),
        ({"n": 2.0}, "n must be None or a whole number, got 2.0"),
        ({"n": True}, "n must be None or a whole number, got True"),
        ({"share": "0.5"}, "share must be a number, got '0.5'"),
        ({"share": None}, "share must be a number, got None"),
        ({"name": 5}, "name must be a text, got 5"),
        ({"is_on": 1}, "is_on must be True or False, got 1"),
        ({"words": "ab"}, "words must be a tuple, got 'ab'"),
        ({"kind": 1}, "kind must be a text, got 1"),
    ],
)
def test_a_field_of_another_type_is_named(fields: dict[str, object], stated: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(stated)):
        Settings(**fields)


def test_fields_of_their_own_types_pass() -> None:
    Settings(n=np.int64(3), share=1, words=("a",), kind="b", other=Path())
    Settings(share=np.float32(0.5), is_on=True)


WRONG_TYPES = {
    "fl.load(5)": "ModelError",
    "fl.load(None)": "ModelError",
    "fl.load('a\\0b')": "ModelError",
    "fl.load_task('a\\0.jsonl')": "TaskError",
    "fl.load_task(5)": "TaskError",
    "fl.Run.open(None)": "RunError",
    "fl.Run.open('a\\0b')": "RunError",
    "fl.audit('O5', task='running-sum', n='3')": "ConfigError",
    "fl.decide('no-such-run')": "RunError",
    "fl.load('O5').decode([-1])": "TraceError",
    "fl.load('O5').decode([2**70])": "TraceError",
    "fl.load('O5').decode(['a'])": "TraceError",
    "fl.load('O5').decode([1.5])": "TraceError",
}


def test_arguments_of_other_types_are_errors_of_ours(tmp_path: Path) -> None:
    """In a process of its own, because the tests check types before faithlens sees the arguments."""
    lines = ["import faithlens as fl", "from faithlens.errors import FaithlensError"]
    for call in WRONG_TYPES:
        lines += ["try:", f"    {call}", "except FaithlensError as error:", "    print(type(error).__name__)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == [*WRONG_TYPES.values()], done.stderr
