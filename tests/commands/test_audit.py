"""A run folder is whole, says the same for the same seed, and is picked up where it was left."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from faithlens.assays import battery
from faithlens.commands.audit import run_audit
from faithlens.commands.identity import check_sampler
from faithlens.commands.prepare import estimate_audit, make_model_loader, prepare_subject, summarise_costs
from faithlens.commands.score import score_batch
from faithlens.commands.work.units import BATCH_TABLES
from faithlens.config import AuditConfig, Subject, parse_subjects
from faithlens.errors import ConfigError, RunError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.interventions.case import FailedChain
from faithlens.model.load import load
from faithlens.store import Run
from faithlens.tasks.running_sum import RunningSum
from faithlens.tasks.transcripts import TranscriptTask
from tests.conftest import call_unchecked

O5 = (Subject("O5", "running-sum"),)
TABLES = {f"{name}.parquet" for name in (*BATCH_TABLES, "estimates")}
FILES = TABLES | {"manifest.json", "verdict.json"}


def config(**changed: object) -> AuditConfig:
    options = {"subjects": O5, "n": 6, "batch": 3, "device": "cpu", "sampling": Sampling(max_new_tokens=60), **changed}
    return AuditConfig(**options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_audit(config(), tmp_path_factory.mktemp("whole") / "run")


def same(one: Run, other: Run) -> None:
    for name in ("traces", "answers", "scores", "estimates"):
        pd.testing.assert_frame_equal(one.read(name), other.read(name))
    assert one.read_json("verdict.json") == other.read_json("verdict.json")


def test_the_folder_holds_what_was_promised(whole: Run) -> None:
    assert {f.name for f in whole.path.iterdir()} == FILES | {"report.html", "units.json", "parts"}
    assert whole.manifest["config"] == json.loads(json.dumps(config().to_dict()))
    traces, scores = whole.read("traces"), whole.read("scores")
    assert sorted(traces["question"]) == sorted(q.id for q in RunningSum().draw_questions(6, 0))
    assert set(scores["question"]) == set(traces["question"])
    assert (traces["finish"] == "stop").all()
    assert ["".join(steps) for steps in traces["steps"]] == list(traces["cot"])
    (entry,) = whole.read_json("verdict.json")["subjects"]
    assert whole.manifest["config"]["dtype"] == "auto"
    assert [subject["dtype"] for subject in whole.manifest["subjects"].values()] == ["float32"]  # on a CPU
    assert (entry["model"], entry["task"], entry["verdict"]) == ("O5", "running-sum", "undecided")
    assert (entry["kind"], entry["questions_needed"]) == ("too few questions", 29)
    passed = {gate["gate"]: gate["n_passed"] for gate in entry["gates"]}
    assert passed == {
        **dict.fromkeys(("capable", "causal", "legible", "derived", "serial", "undisturbed"), 6),
        "disclosed": 0,
    }
    assert entry["cells"]["content-mediated"] == 6
    assert "last" in entry["truth"]
    assert entry["reasons"]


def test_a_killed_run_is_resumed_to_the_same_end(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = battery.run_battery, []

    def kill_run(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 3:  # the first says what the run will take
            raise KeyboardInterrupt
        return run(*args, **options)

    out = tmp_path / "run"
    monkeypatch.setattr(battery, "run_battery", kill_run)
    with pytest.raises(KeyboardInterrupt):
        run_audit(config(), out)
    assert {f.name for f in out.iterdir()} == {"manifest.json", "units.json", "units", "parts"}
    assert Run.open(out).list_finished_keys("traces") == {"O5 running-sum 0"}
    with pytest.raises(RunError, match="seed: 0 in the folder, 1 given"):
        run_audit(config(seed=1), out, resume=True)
    with pytest.raises(RunError, match="not empty"):
        run_audit(config(), out)
    same(run_audit(config(), out, resume=True), whole)
    assert len(calls) == 3 + 1  # other options are refused before a model is loaded; what was done is not done again
    assert len(Run.open(out).manifest["resumed"]) == 1


def test_other_batches_give_the_same_scores(whole: Run, tmp_path: Path) -> None:
    other = run_audit(config(batch=6), tmp_path / "run").read("scores")
    mine = whole.read("scores")
    pd.testing.assert_frame_equal(other.drop(columns="value"), mine.drop(columns="value"))
    pd.testing.assert_series_equal(other["value"], mine["value"], atol=1e-5, rtol=1e-4)


def test_a_model_that_is_put_to_several_tasks_is_loaded_once() -> None:
    open_model = make_model_loader(config())
    first = open_model("O5")
    assert open_model("O5") is first
    assert open_model("O4").name == "O4"
    assert open_model("O5") is not first  # the one before has been let go


def test_a_question_without_a_chain_is_counted_as_dropped(tmp_path: Path) -> None:
    ready = prepare_subject(config(n=3), O5[0], make_model_loader(config()))
    silent = FailedChain(ready.first_chains[0].question, 0, "the model wrote nothing")
    run = Run.create(tmp_path / "run", {"config": {}})
    score_batch(config(), ready, "k", [silent, *ready.first_chains[1:]], run)
    scores, traces = run.read("scores"), run.read("traces")
    assert len(traces) == 2
    mine = scores[scores["question"] == silent.question.id]
    assert set(mine["reason"]) == {"the model wrote nothing"}
    assert mine["value"].isna().all()
    assert {"accuracy.full", "mediation.content_share"} <= set(mine["measure"])
    assert run.list_finished_keys("traces") == {"k"}


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Not a directory\nCheck that the folder exists and that you may write there"):
        Run.create(tmp_path / "file" / "run", {"config": {}})


def test_drafts_hold_the_tokens_of_every_text_that_the_model_wrote(whole: Run) -> None:
    drafts, model = whole.drafts, load("O5", device="cpu")
    assert set(drafts["name"]) >= {"chain", "counterfactual", "regenerated@0"}
    chains = drafts[drafts["name"] == "chain"].set_index("question")
    assert dict(chains["text"]) == dict(whole.traces.set_index("question")["cot"])
    assert not drafts.duplicated(["question", "sample", "name"]).any()
    for row in drafts.to_dict("records"):
        prompt, ids = row["prompt_ids"].tolist(), row["ids"].tolist()
        assert model.decode(prompt + ids) == model.decode(prompt) + row["text"]
        [again] = sample(model, [prompt], [row["seed"]], Sampling(len(ids) + 1))
        assert (again.ids[: len(ids)], row["finish"]) == (tuple(ids), "stop")


def test_a_run_is_not_continued_by_another_sampler(whole: Run) -> None:
    with pytest.raises(RunError, match="sampler: 'own' in the folder, 'continuous' given"):
        run_audit(config(sampler="continuous"), whole.path, resume=True)
    facts = {"name": "openai", "url": "http://host/v1", "model": "m", "version": "1", "gap": 0.1}

    def setting(**changed: object) -> SimpleNamespace:
        return SimpleNamespace(model=None, sampler=SimpleNamespace(describe=lambda model: facts | changed))

    call_unchecked(check_sampler, "run", {"sampler": facts}, "m t", setting(gap=0.2))
    with pytest.raises(RunError, match=r"sampler\.version: '1' in the folder, '2' given"):
        call_unchecked(check_sampler, "run", {"sampler": facts}, "m t", setting(version="2"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "vlm"}, "Did you mean 'vllm'"),
        ({"sampler": "openai"}, "needs the address of a server"),
        ({"sampler_url": "http://localhost:8000/v1"}, "the sampler is 'own'"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused_with_the_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config(**options)


def test_subjects_of_the_command_line() -> None:
    assert [s.model for s in parse_subjects(None, None)] == ["O5", "O4", "smollm2-135m"]
    assert {s.task for s in parse_subjects(None, "ordering")} == {"ordering"}
    assert parse_subjects(["o5", "org/name"], None) == (
        Subject("o5", "running-sum"),
        Subject("org/name", "arithmetic-mc"),
    )
    assert [s.task for s in parse_subjects(["o10", "organism:O1"], None)] == ["running-sum", "running-sum-modes"]
    assert parse_subjects(["O5", "O5"], "ordering") == (Subject("O5", "ordering"),)


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"n": -1}, {"seed": -1}, {"max_unfaithful": 2.0}, {"max_unfaithful": 0.0}]
)
def test_senseless_options_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError):
        AuditConfig(**options)


def test_the_behavioural_suite_in_a_run_folder(tmp_path: Path) -> None:
    notices: list[str] = []
    sampling = Sampling(60, 1.0)
    run = run_audit(
        config(suite="behaviour", n=4, samples=2, sampling=sampling), tmp_path / "run", notify=notices.append
    )
    assert notices[0].startswith("O5 running-sum: 8 chains of thought; for the first, ")
    traces, edits, estimates = (run.read(name) for name in ("traces", "edits", "estimates"))
    assert sorted(traces["sample"]) == [0] * 4 + [1] * 4
    assert traces.duplicated(["question", "seed"]).sum() == 0
    followed = edits[(edits["kind"] == "mistake") & edits["condition"].str.startswith("regenerated")]
    assert (followed["outcome"] == "follows").all()
    assert (followed["implied"] == followed["answer"]).all()
    scalar = estimates[estimates["fraction"].isna() & estimates["step"].isna()].set_index("measure")
    assert scalar.loc["propagation.follows", ["value", "n_used"]].tolist() == [1, 4]  # questions, not chains
    low, high = (scalar.loc[f"bound.mistakes.{end}", "value"] for end in ("low", "high"))
    assert low <= scalar.loc["mistakes.aoc_mean_0_to_n-1", "value"] <= high
    page = (run.path / "report.html").read_text()
    assert "Every test of behaviour" in page
    assert "follows the mistake" in page


class Sums(TranscriptTask):
    """Chains of thought about running sums, in the words that the organisms know."""

    stems = RunningSum().stems
    make_prompt = RunningSum().make_prompt


def test_chains_written_elsewhere_are_scored_as_they_are(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chains of a finished run, given back as text: the same scores."""
    monkeypatch.setattr("faithlens.commands.prepare.TranscriptTask", Sums)
    chains = whole.read("traces").set_index("question")["cot"]
    lines = [
        {"id": q.id, "question": q.text, "candidates": list(q.choices), "answer": q.answer, "cot": chains[q.id]}
        for q in RunningSum().draw_questions(6, 0)
    ]
    path = tmp_path / "chains.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    audit_config = config(
        subjects=parse_subjects(["O5"], str(path)), traces=str(path), assays=("baselines", "early_answering")
    )
    costs = estimate_audit(audit_config)
    assert [(e.chains, e.texts) for e in costs] == [(6, 0)]
    total, [work] = summarise_costs(costs), [e.work for e in costs]
    assert (total["passes"], total["rows"]) == (6 * work.passes, 6 * work.rows)
    assert (total["forwards"], total["plan_seconds"]) == (6 * work.forwards, 6 * work.plan_seconds)
    assert total["peak_bytes"] == work.peak_bytes
    json.dumps(total)
    run = run_audit(audit_config, tmp_path / "run")
    assert {key: (counts["passes"], counts["rows"] > work.rows) for key, counts in run.manifest["work"].items()} == {
        f"{audit_config.subjects[0].key} {i}": (1, True) for i in range(len(run.manifest["work"]))
    }
    imported, sampled = run.read("scores"), whole.read("scores")
    keys = ["question", "measure", "condition", "step"]
    both = imported.merge(sampled, on=keys, how="left", suffixes=("", "_sampled"))
    assert len(both) == len(imported) > 100
    pd.testing.assert_series_equal(both["value"], both["value_sampled"], check_names=False)
