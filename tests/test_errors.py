"""Foreign exceptions reach the user as errors of faithlens; programming errors of faithlens stay what they are."""

import json
from pathlib import Path

import pytest
import torch

import faithlens
from faithlens.errors import ModelError, PlanError, escape_controls, suggest_names, translate_errors

PACKAGE = Path(faithlens.__file__).parent


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


def test_escapes() -> None:
    assert escape_controls("a\tb\x07é\n漢\ud800") == "a\\tb\\x07é\n漢\\ud800"


def test_suggestions_are_sentences() -> None:
    assert suggest_names("aple", ["pear", "apple"]) == "Did you mean 'apple'? Known names: apple, pear."
    assert suggest_names("zzz", ["pear", "apple"]) == "Known names: apple, pear."
