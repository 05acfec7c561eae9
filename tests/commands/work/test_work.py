"""Many workers write the bytes that one writes: whatever their number, their order, and where they stop."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.unit_overhead import measure_units
from faithlens.assays import battery
from faithlens.commands import score as scoring
from faithlens.commands.audit import audit, run_audit
from faithlens.commands.decide import decide
from faithlens.commands.identity import make_audit_manifest
from faithlens.commands.progress import show_progress
from faithlens.commands.work.conclude import conclude
from faithlens.commands.work.ledger import Ledger
from faithlens.commands.work.run import conclude_run, open_worker, prepare_run, work_on_run
from faithlens.commands.work.units import BATCH_TABLES, list_audit_units, order_units
from faithlens.config import AuditConfig, Subject
from faithlens.errors import ConfigError, ModelError, RunError
from faithlens.execution.samplers import own as samplers
from faithlens.interventions.case import Case
from faithlens.measures.catalogue import Measure, get_measure, registry
from faithlens.measures.score import Score
from faithlens.model.load import load
from faithlens.plan.condition import Condition
from faithlens.report.export import export_run
from faithlens.store import Leases, Run
from tests.commands.work.runs import CONFIG, list_differing, prepare

UNITS = [f"{model} running-sum {i}" for model in ("O5", "O4") for i in range(2)]


def test_workers_in_any_order_write_what_one_process_writes(whole: Run, tmp_path: Path) -> None:
    path = prepare(tmp_path / "run")
    assert {each.name for each in path.iterdir()} == {"manifest.json", "units.json"}
    with pytest.raises(RunError, match=r"4 units of the run in .* are not finished: O5 running-sum 0, O5") as caught:
        conclude_run(path)
    assert f"faithlens work {path}" in caught.value.fix
    with open_worker(path) as last, Leases(path) as leases, show_progress(last.ledger.count_questions()) as lines:
        assert last.do_some([UNITS[3]], leases, lines)
    worker = work_on_run(path, rank=1, of=2)
    assert worker.done == [UNITS[2], UNITS[0], UNITS[1]]  # its own share first; one of it was done already
    assert work_on_run(path, rank=0, of=2).done == []
    assert list_differing(conclude_run(path), whole) == []


def test_a_conclusion_that_was_killed_is_made_again(whole: Run, tmp_path: Path) -> None:
    """The table was there, and its digest was not in the manifest yet."""
    path = prepare(tmp_path / "run")
    work_on_run(path)
    (path / "traces.parquet").write_bytes(b"of a process that was killed")
    assert list_differing(conclude_run(path), whole) == []


def test_other_code_concludes_no_run_and_adds_to_a_finished_one_with_a_warning(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = prepare(tmp_path / "run")
    work_on_run(path)
    with monkeypatch.context() as patched:
        patched.setattr("faithlens.store.manifest.hash_code", lambda: "0" * 64)
        with pytest.raises(RunError, match=r"started with other options or inputs: code: .* '0000"):
            conclude_run(path)
        assert not (path / "verdict.json").exists()
        run = conclude(Run.open(path))
        assert "are made by other code than the rows: code: " in caplog.text
        assert run.manifest["concluded"]["code"] == "0" * 64
        assert run.manifest["code"] == whole.manifest["code"]


def test_an_audit_that_was_prepared_can_be_ended_by_resume(whole: Run, tmp_path: Path) -> None:
    path = prepare(tmp_path / "run")
    with open_worker(path) as worker:
        worker.prepared.clear()
        worker.work(0, 1)
    assert list_differing(run_audit(CONFIG, path, resume=True), whole) == []


def test_a_unit_that_fails_is_named_and_the_others_are_done(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, score = prepare(tmp_path / "run"), scoring.score_batch

    def fail_once(config: object, ready: object, key: str, *inputs: object, **options: object) -> None:
        if key == UNITS[1]:
            raise ModelError("the GPU fell off the bus", "Replace it.")
        score(config, ready, key, *inputs, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "score_batch", fail_once)
        worker = work_on_run(path)
    assert worker.failed == {UNITS[1]: "the GPU fell off the bus"}
    assert len(worker.done) == 3
    with pytest.raises(RunError, match=r"1 units .* O5 running-sum 1 \(the GPU fell off the bus\)"):
        conclude_run(path)
    assert work_on_run(path).done == [UNITS[1]]
    assert list_differing(conclude_run(path), whole) == []


class CountSteps:
    """An assay with a measure of its own."""

    name = "own"

    def conditions(self, setting: object, case: object) -> list[Condition]:
        return []

    def score(self, setting: object, case: Case, records: object) -> list[Score]:
        return [Score("own.steps", float(len(case.trace.steps)))]


def test_a_measure_of_the_users_own_is_known_where_only_the_worker_registered_it(
    tmp_path: Path, register_measure: Callable[..., Measure]
) -> None:
    own = {"name": "own.steps", "label": "steps", "meaning": "The steps.", "unit": "count", "kind": "count"}
    measure = register_measure(**own, range=(0.0, None), assay="own")
    assays = ("early_answering", f"{__name__}:CountSteps")
    path = prepare(tmp_path / "run", replace(CONFIG, subjects=CONFIG.subjects[:1], n=2, batch=1, assays=assays))
    work_on_run(path)
    registry._CATALOGUE.pop("own.steps")  # as in another process
    run = conclude_run(path)
    steps = run.scores[run.scores["measure"] == "own.steps"]
    assert steps["value"].tolist() == run.traces["steps"].map(len).tolist()
    assert run.estimates.set_index("measure")["value"]["own.steps"] == steps["value"].mean()
    assert get_measure("own.steps") == measure
    registry._CATALOGUE.pop("own.steps")
    assert decide(path).subjects[0]["model"] == "O5"
    registry._CATALOGUE.pop("own.steps")
    assert export_run(Run.open(path), tmp_path / "rows.parquet", "parquet").exists()


def test_a_unit_takes_no_longer_the_more_units_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a worker reads no record of another unit, and the manifest only where it was written again."""
    path = prepare(tmp_path / "run", replace(CONFIG, subjects=CONFIG.subjects[:1]))
    with open_worker(path) as worker, Leases(path) as leases, show_progress(worker.ledger.count_questions()) as lines:
        assert worker.do_some([UNITS[0]], leases, lines)
        with monkeypatch.context() as patched:
            for name in ("read_records", "read_manifest"):
                patched.setattr(f"faithlens.store.folder.{name}", None)
            assert worker.do_some([UNITS[1]], leases, lines)
    assert worker.done == UNITS[:2]
    assert Ledger(Run(path)).list_unfinished() == []


def test_what_a_worker_adds_to_a_unit_is_measured(tmp_path: Path) -> None:
    config = replace(CONFIG, subjects=CONFIG.subjects[:1], n=4, batch=1)
    rows = [*measure_units(config, 1, tmp_path)]
    assert len(rows) in (
        1,
        2,
    )  # one of those after the first two may be a unit that is proved
    assert all(each.clock > 0 for row in rows for each in row)
    finished = Run(tmp_path / "whole").list_finished_units()
    assert finished == Run(tmp_path / "rest").list_finished_units()
    assert len(finished) == 2 + len(rows)


def test_memory_that_runs_out_cuts_a_unit_and_is_recorded(whole: Run, tmp_path: Path) -> None:
    """Memory for one question at a time, and none for one question."""
    run_battery = battery.run_battery
    hungry = whole.traces["question"].iloc[0]

    def run_out(setting: object, cases: list, *inputs: object, **options: object) -> list:
        if len(cases) > 1 or cases[0].question.id == hungry:
            raise MemoryError("not enough memory")
        return run_battery(setting, cases, *inputs, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        path = prepare(tmp_path / "run", replace(CONFIG, subjects=CONFIG.subjects[:1]))
        patch.setattr(battery, "run_battery", run_out)
        assert len(work_on_run(path).done) == 2
    run = conclude_run(path)
    [entries] = [entries for entries in run.manifest["retried"].values() if len(entries) == 2]
    assert [len(entry["questions"]) for entry in entries] == [2, 1]
    assert {entry["reason"] for entry in entries} == {"memory ran out: not enough memory"}
    scores, expected = run.scores, whole.scores[whole.scores["model"] == "O5"]
    lost = scores[scores["question"] == hungry]
    assert set(lost["reason"]) == {"memory ran out: not enough memory"}
    rest = scores[scores["question"] != hungry].reset_index(drop=True)
    same = expected[expected["question"] != hungry].reset_index(drop=True)
    assert rest.drop(columns="value").equals(same.drop(columns="value"))
    assert (rest["value"] - same["value"]).abs().max() < 1e-5


def test_memory_that_runs_out_while_sampling_loses_that_question_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, calls = samplers.continue_requests, []

    def run_out(model: object, requests: list, *inputs: object, **options: object) -> list:
        calls.append(len(requests))
        if len(calls) > 1 and (len(requests) > 1 or len(calls) == 3):  # the first batch finds the stem
            raise ModelError("no room", "Buy some.") from MemoryError("not enough memory")
        return draw(model, requests, *inputs, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(samplers, "continue_requests", run_out)
    config = replace(CONFIG, subjects=CONFIG.subjects[:1], assays=("early_answering",))
    run = run_audit(config, tmp_path / "run")
    assert calls == [2, 2, 1, 1]
    reasons = run.scores.groupby("question")["reason"].apply(lambda each: "memory ran out: no room" in set(each))
    assert sorted(reasons) == [False, False, False, True]


def test_a_worker_with_other_weights_or_questions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = prepare(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr("faithlens.commands.identity.hash_named_model", lambda *_: "other")
        worker = work_on_run(path)
    assert worker.done == []
    assert all("other weights or questions of O" in problem for problem in worker.failed.values())
    monkeypatch.setattr("faithlens.store.manifest.hash_code", lambda: "other")
    with pytest.raises(RunError, match="code: "):
        work_on_run(path)


def test_what_cannot_be_a_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rank must be from 0 to 1 for 2 workers, got 2"):
        work_on_run(tmp_path, 2, 2)
    with pytest.raises(RunError, match="is not a run folder"):
        work_on_run(tmp_path / "none")
    with pytest.raises(RunError, match="is not a run folder"):
        conclude_run(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ConfigError, match="O5 is in the memory of this process"):
        audit(load("O5", device="cpu"), "running-sum", 2, tmp_path / "none", prepare_only=True)
    with pytest.raises(ConfigError, match="Did you mean 'ray'"):
        audit("O5", "running-sum", 2, tmp_path / "none", engine="rai")
    with pytest.raises(ConfigError, match="Did you mean 'workers'"):
        audit("O5", "running-sum", 2, tmp_path / "none", engine="ray", crew={"worker": 2})


def list_digests(config: AuditConfig) -> list[str]:
    units = list_audit_units(config, json.loads(json.dumps(make_audit_manifest(config))))
    return [unit["digest"] for unit in units.units.values()]


def test_a_unit_is_what_its_rows_depend_on() -> None:
    own = list_digests(CONFIG)
    assert len(set(own)) == 4
    assert list_digests(CONFIG) == own
    more = list_digests(
        replace(CONFIG, n=6, max_unfaithful=0.2, subjects=(*CONFIG.subjects, Subject("O1", "running-sum")))
    )
    assert [more[0], more[1], more[3], more[4]] == own  # more questions and models, and another bar
    for other in (
        replace(CONFIG, seed=1),
        replace(CONFIG, assays=("baselines",)),
        replace(CONFIG, batch=1),
        replace(CONFIG, budget=100),
        replace(CONFIG, sampling=replace(CONFIG.sampling, temperature=0.5)),
    ):
        assert not {*list_digests(other)} & {*own}


def test_shares_are_stretches_and_cover_everything() -> None:
    keys = [f"{i}" for i in range(10)]
    for of in range(1, 12):
        starts = [order_units(keys, rank, of)[0] for rank in range(of)]
        assert starts == sorted(starts, key=int)
        assert all(sorted(order_units(keys, rank, of)) == sorted(keys) for rank in range(of))


def test_a_ledger_notices_what_others_finish_and_what_is_merged(tmp_path: Path) -> None:
    path = prepare(tmp_path / "run")
    run, rows = Run(path), {table: [] for table in BATCH_TABLES}
    ledger = Ledger(run)
    units = run.read_unit_list().units
    assert ledger.list_unfinished() == UNITS
    run.write_unit(UNITS[0], rows, digest=units[UNITS[0]]["digest"])
    ledger.refresh()
    assert ledger.list_unfinished() == UNITS[1:]
    run.write_unit(UNITS[1], rows, digest=units[UNITS[1]]["digest"])
    run.merge_records()
    assert ledger.is_finished(UNITS[1], looks_again=True)
    assert ledger.questions == {"O5 running-sum": 4}
    assert ledger.count_questions() == {"O5 running-sum": 4, "O4 running-sum": 4}


def test_a_second_audit_of_a_run_is_refused_while_workers_may_join(tmp_path: Path) -> None:
    with prepare_run(CONFIG, tmp_path / "run"):
        with pytest.raises(RunError, match="is in use: process"):
            conclude_run(tmp_path / "run")
        with pytest.raises(RunError, match="is in use: process"), prepare_run(CONFIG, tmp_path / "run", resume=True):
            pass
