"""A table of a run whose digest is right is read only where each row could have been written; ``--resume`` mends it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faithlens.assays.assay import Outcome as StepOutcome
from faithlens.errors import MeasureError, RunError
from faithlens.judging.inquiry import LABELS
from faithlens.measures.catalogue import Unit
from faithlens.stats.verdict import VerdictName
from faithlens.store import Run, UnitList
from faithlens.store.files import FileDigest
from faithlens.store.manifest import write_manifest
from faithlens.store.tables import WORDS
from faithlens.thoughts import Finish

PART, TABLE, CHAINS = "parts/scores/a%20t%200.parquet", "scores.parquet", "chains/a%20t%201.parquet"
UNITS = UnitList(
    ("scores", "answers"),
    {f"a t {i}": {"model": "a", "task": "t", "questions": [f"{i}0", f"{i}1"], "digest": "d"} for i in range(2)},
)
MANIFEST = {"config": {}, "seed": 0}
AT = {"model": "a", "task": "t", "condition": "full"}
Change = Callable[[pa.Table], pa.Table]


def make_rows(unit: int, **more: Any) -> dict[str, list[dict[str, Any]]]:
    questions = UNITS.units[f"a t {unit}"]["questions"]
    score = {"measure": "accuracy.full", "unit": "fraction", "value": 1.0}
    return {
        "scores": [{**AT, "question": question, **score, **more} for question in questions],
        "answers": [{**AT, "question": question, "logprobs": [-0.5, -1.5]} for question in questions],
    }


def write_run(path: Path, units: int = 2) -> Run:
    run = Run.create(path, MANIFEST)
    run.write_unit_list(UNITS)
    for unit in range(units):
        assert run.write_unit(f"a t {unit}", make_rows(unit), digest="d")
    run.merge_records()
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = write_run(tmp_path / "run")
    run.finish()
    return run


def rewrite(run: Run, name: str, change: Change) -> None:
    """Change a table, and make its digest anew."""
    stream = io.BytesIO()
    pq.write_table(change(pq.read_table(run.path / name)), stream)
    replace_with_digest(run, name, stream.getvalue())


def replace_with_digest(run: Run, name: str, content: bytes) -> None:
    (run.path / name).write_bytes(content)
    files = run.manifest["files"] | {name: FileDigest.of_content(content)._asdict()}
    write_manifest(run.path, {**run.manifest, "files": files})


def put(name: str, value: Any, kind: pa.DataType | None = None) -> Change:
    """A function that puts a value into the first row of a column; into all rows if the column is of another type."""

    def change(rows: pa.Table) -> pa.Table:
        values = [value, *([value] if kind else rows[name].to_pylist()[1:])]
        place, field = rows.schema.get_field_index(name), rows.schema.field(name)
        return rows.set_column(place, pa.field(name, kind or field.type), pa.array(values, kind or field.type))

    return change


COLUMNS = "does not have the columns of scores"
ONE_OF_BOTH = "cannot be believed: 1 rows of scores do not have exactly one"
WRONG: dict[str, tuple[Change, str]] = {
    "a column less": (lambda rows: rows.drop_columns(["unit"]), COLUMNS),
    "a column more": (lambda rows: rows.append_column("colour", pa.array(["red"] * 2)), COLUMNS),
    "a column twice": (lambda rows: rows.append_column("unit", rows["unit"]), "holds no table"),
    "no columns": (lambda rows: pa.table({}), COLUMNS),
    "a text as a value": (put("value", "high", pa.string()), COLUMNS),
    "a number as a model": (put("model", 1, pa.int64()), COLUMNS),
    "no values at all": (put("value", None, pa.null()), COLUMNS),
    "another model": (put("model", "b"), "has rows of the model 'b', which is none of its"),
    "another task": (put("task", "u"), "has rows of the task 'u', which is none of its"),
    "another question": (put("question", "zz"), "has rows of the question 'zz', which is none of its"),
    "no question": (put("question", None), "cannot be believed: rows of scores lack question"),
    "no measure": (put("measure", None), "cannot be believed: rows of scores lack measure"),
    "a row twice": (lambda rows: pa.concat_tables([rows, rows[:1]]), "cannot be believed: rows of scores have"),
    "neither value nor reason": (put("value", None), ONE_OF_BOTH),
    "NaN": (put("value", float("nan")), ONE_OF_BOTH),
    "value and reason": (put("reason", "lost"), ONE_OF_BOTH),
    "an infinite value": (put("value", float("inf")), ONE_OF_BOTH),
    "a value out of range": (put("value", 1.5), "cannot be believed: accuracy.full must lie in its range, 0 to 1"),
    "a sample before the first": (put("sample", -1), "cannot be believed: sample of scores must lie between 0 and inf"),
    "a fraction above 1": (put("fraction", 2.0), "cannot be believed: fraction of scores must lie between 0 and 1"),
    "a unit that is none": (put("unit", "apples"), "cannot be believed: unit of scores must be one of fraction, "),
    "a fraction that is no number": (put("fraction", float("nan")), "cannot be believed: fraction of scores must lie"),
    "a question left out": (lambda rows: rows.slice(0, 1), "has no row of accuracy.full for the question '01', which"),
    "a step of no weight": (put("weight", 0.0), "cannot be believed: weight of scores must lie between 1 and inf"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", [PART, TABLE])
def test_a_table_that_could_not_have_been_written_is_refused(kind: str, name: str, run: Run) -> None:
    change, fault = WRONG[kind]
    if name == TABLE:  # it is read where no part is left
        rows = pq.read_table(run.path / name)
        rewrite(run, name, lambda _: change(rows.slice(0, 2)))
        for part in (run.path / "parts" / "scores").iterdir():
            part.unlink()
    else:
        rewrite(run, name, change)
    with pytest.raises(RunError, match=f"{name} {fault}") as caught:
        Run.open(run.path).read("scores")
    assert "--resume" in caught.value.fix


@pytest.mark.parametrize(
    "kind", ["a column less", "no question", "a row twice", "NaN", "another question", "a question left out"]
)
def test_resume_does_a_part_again_that_could_not_have_been_written(
    kind: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    expected = run.read("scores")
    rewrite(run, PART, WRONG[kind][0])
    again = Run.create(run.path, MANIFEST, resume=True)
    assert f"{PART} {WRONG[kind][1]}"[:60] in caplog.text
    assert again.list_finished_units() == {"a t 1"}
    assert again.write_unit("a t 0", make_rows(0), digest="d")
    again.merge_records()
    again.finish()
    assert Run.open(run.path).read("scores").equals(expected)


def test_a_file_that_is_no_table_is_refused(run: Run) -> None:
    replace_with_digest(run, PART, b"no table")
    with pytest.raises(RunError, match=f"{PART} holds no table"):
        Run.open(run.path).read("scores")


@pytest.mark.parametrize(
    ("logprobs", "fault"),
    [
        ([-0.5, None], "rows of answers lack logprobs, or a part of it"),
        ([-0.5, float("nan")], "rows of answers lack logprobs, or a part of it"),
        ([-0.5, 0.5], "logprobs of answers must lie between -inf and 0.001, got 0.5"),
        ([-0.5, float("inf")], "logprobs of answers must lie between -inf and 0.001, got inf"),
    ],
)
def test_a_list_that_could_not_have_been_written_is_refused(logprobs: list[float], fault: str, run: Run) -> None:
    rewrite(run, PART.replace("scores", "answers"), put("logprobs", logprobs))
    with pytest.raises(RunError, match=fault):
        run.read("answers")


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("judged", "zz", "judged of judgements must be one of said, denied, unsaid, yes, no, got 'zz'"),
        ("judged", None, "1 rows of judgements do not have exactly one of judged and reason"),
        ("reason", "lost", "1 rows of judgements do not have exactly one of judged and reason"),
        ("asks", "x", "asks of judgements must be one of saying, influence, got 'x'"),
        ("repeat", -1, "repeat of judgements must lie between 0 and inf, got -1"),
    ],
)
def test_a_judgement_that_no_reader_makes_is_refused(column: str, value: Any, fault: str, tmp_path: Path) -> None:
    run, of = Run.create(tmp_path / "run", MANIFEST), {"reader": "words", "repeat": 0, "kind": "metadata", "label": "B"}
    rows = [{**of, "asks": "saying", "digest": digest, "reply": "", "judged": "said"} for digest in ("a", "b")]
    run.write_part("judgements", "words", rows)
    assert run.judgements["judged"].tolist() == ["said", "said"]
    rewrite(run, "parts/judgements/words.parquet", put(column, value))
    with pytest.raises(RunError, match=fault) as caught:
        _ = run.judgements
    assert "faithlens judge" in caught.value.fix


def test_words_of_columns_are_those_that_are_written() -> None:
    expected = {
        "finish": Finish,
        "outcome": StepOutcome,
        "unit": Unit,
        "verdict": VerdictName,
        "right_verdict": VerdictName,
    }
    assert {name: WORDS[name] for name in expected} == {name: get_args(kind) for name, kind in expected.items()}
    assert WORDS["asks"] == tuple(LABELS)
    assert {*WORDS["judged"]} == {label for labels in LABELS.values() for label in labels}


@pytest.mark.parametrize(("n_used", "n_dropped"), [(3, 0), (4, 1)])
def test_an_estimate_counts_each_question_that_was_asked(n_used: int, n_dropped: int, run: Run) -> None:
    row = {"model": "a", "task": "t", "measure": "accuracy.full", "value": 0.5, "low": 0.1, "high": 0.9}
    row |= {"unit": "fraction", "method": "Wilson", "seed": 0}
    run.finish({"estimates": [{**row, "n_used": 3, "n_dropped": 1}]})
    assert run.estimates["n_dropped"].tolist() == [1]
    first = ["model", "task", "measure", "value", "low", "high", "n_used", "n_dropped", "unit"]
    assert list(run.estimates.columns) == [*first, "method", "seed", "fraction", "step", "reason"]
    run.finish({"estimates": [{**row, "n_used": n_used, "n_dropped": n_dropped}]})
    problem = f"estimates.parquet counts {n_used + n_dropped} questions for accuracy.full, and 4 were asked"
    with pytest.raises(RunError, match=problem):
        _ = run.estimates


@pytest.mark.parametrize("name", ["step", "fraction", "sample", "reason", "weight"])
def test_a_column_that_an_older_faithlens_did_not_write_is_blank(name: str, run: Run) -> None:
    """The tables are sorted by some of them."""
    expected = run.read("scores")
    rewrite(run, PART, lambda rows: rows.drop_columns([name]))
    assert run.read("scores").equals(expected)


def test_the_order_of_rows_and_columns_does_not_matter(run: Run) -> None:
    expected = run.read("scores")
    rewrite(run, PART, lambda rows: rows.take([1, 0]).select(rows.column_names[::-1]))
    assert run.read("scores").equals(expected)


def test_a_measure_that_nothing_describes_is_refused_with_its_file_and_its_name(run: Run) -> None:
    """It may be one of the user's own, which the manifest describes."""
    rewrite(run, PART, put("measure", "own.count", pa.string()))
    problem = f"{PART} has rows of the measure 'own.count', which neither the catalogue nor the run describes"
    with pytest.raises(RunError, match=problem):
        run.read("scores")
    with pytest.raises(RunError, match=problem):
        run.open_parts()("scores", "a t 0")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"sample": -1}, "sample of scores must lie between"),
        ({"question": "00"}, "rows of scores have the same model, "),
    ],
)
def test_rows_that_could_not_be_read_again_are_not_written(more: dict[str, Any], problem: str, run: Run) -> None:
    with pytest.raises(RunError, match=problem):
        run.write_part("scores", "k", make_rows(0, **more)["scores"])


def test_an_interval_beyond_the_range_of_its_measure_is_not_written(run: Run) -> None:
    row = {"model": "a", "task": "t", "measure": "accuracy.full", "value": 0.5, "low": -0.1, "high": 0.9}
    row |= {"n_used": 3, "n_dropped": 0, "unit": "fraction", "method": "Wilson", "seed": 0}
    with pytest.raises(MeasureError, match=r"accuracy.full must lie in its range, 0 to 1, got -0.1"):
        run.finish({"estimates": [row]})


def test_chains_of_another_run_that_could_not_have_been_written_are_not_used(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", units=1)
    draft = {**AT, "question": "10", "sample": 0, "name": "cot", "prompt_ids": [1], "ids": [2], "text": "x"}
    run.write_part(
        "drafts", "a t 1", [{k: v for k, v in draft.items() if k != "condition"} | {"finish": "stop", "seed": 0}]
    )
    run.keep_chains("a t 1", run.open_parts()("drafts", "a t 1"))
    rows = run.read_chains("a t 1")
    assert rows is not None
    assert rows["ids"].tolist()[0].tolist() == [2]
    for ids, fault in (([None], "rows of drafts lack ids"), ([-1], "ids of drafts must lie between 0 and inf, got -1")):
        rewrite(run, CHAINS, put("ids", ids))
        with pytest.raises(RunError, match=f"{CHAINS} cannot be believed: {fault}"):
            run.read_chains("a t 1")
    assert Run.create(run.path, MANIFEST, resume=True).read_chains("a t 1") is None


def test_a_list_of_units_that_the_options_do_not_make_is_replaced(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.replace_unit_list(UNITS)
    assert caplog.text == ""
    changed = {key: {**unit, "questions": ["00"]} for key, unit in UNITS.units.items()}
    run.write_unit_list(UnitList(UNITS.tables, changed))
    run.replace_unit_list(UNITS)
    assert "units.json is not the list that its options make" in caplog.text
    assert run.read_unit_list().units == UNITS.units
