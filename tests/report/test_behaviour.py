"""The table of behavioural tests: each number with its control and its bounds, and nothing without a reason."""

from faithlens.report import behaviour


def row(measure: str, value: float | None, reason: str | None = None) -> dict:
    return {"measure": measure, "value": value, "low": value, "high": value, "reason": reason}


def table(**values: float | None) -> dict[str, dict]:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return {name: row(name, value, None if value is not None else "no step") for name, value in named.items()}


def test_a_number_stands_beside_its_floor_and_its_bounds() -> None:
    measure = "mistakes_regenerated"
    numbers = {
        f"{measure}.change": 0.5,
        f"{measure}.floor": 0.1,
        f"bound.{measure}.low": 0.2,
        f"bound.{measure}.high": 0.7,
    }
    [(title, [line])] = behaviour.list_tests({name: row(name, value) for name, value in numbers.items()}).items()
    assert title == "Adding mistakes, later steps regenerated"
    visible = [line.estimate["value"], line.control["value"], line.low["value"], line.high["value"]]
    assert visible == [0.5, 0.1, 0.2, 0.7]


def test_a_test_without_a_number_is_one_line_that_says_why() -> None:
    result = behaviour.list_tests(table(paraphrase__change=None, paraphrase__excess=None, paraphrase__accuracy=None))
    [[line]] = result.values()
    assert (line.estimate["value"], line.estimate["reason"]) == (None, "no step")
    some = behaviour.list_tests(table(paraphrase__change=0.2, paraphrase__excess=None, paraphrase__accuracy=0.5))
    assert [line.label for line in some["Paraphrase"]] == ["paraphrase", "accuracy after paraphrase"]


def test_tests_that_were_not_run_are_not_shown() -> None:
    assert behaviour.list_tests(table(accuracy__full=1.0)) == {}
