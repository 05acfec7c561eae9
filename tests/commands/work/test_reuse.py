"""A run that takes over what another run did has the bytes of one that did everything itself."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faithlens.commands.audit import audit, run_audit
from faithlens.commands.work.run import conclude_run, prepare_run, work_on_run
from faithlens.config import AuditConfig, Subject
from faithlens.errors import RunError
from faithlens.execution.samplers import own as samplers
from faithlens.store import Run
from faithlens.store.files import quote_key
from faithlens.tasks.running_sum import RunningSum
from tests.commands.work.runs import CONFIG, list_differing, prepare
from tests.store.test_tables import put, rewrite

MORE = replace(CONFIG, n=6, subjects=(*CONFIG.subjects, Subject("O1", "running-sum")))
WIDER = replace(CONFIG, assays=("early_answering", "mistakes", "mistakes_regenerated", "baselines"), n=5)
TAKEN = [f"{model} running-sum {i}" for model in ("O5", "O4") for i in range(2)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of texts in each call in which the own sampler draws until the model ends its turn."""
    draw, sizes = samplers.continue_requests, list[int]()

    def count(model: object, requests: list, sampling: object, until: str | None = None, **options: object) -> list:
        sizes.append(len(requests))
        return draw(model, requests, sampling, until, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(samplers, "continue_requests", count)
    return sizes


@pytest.fixture
def scratch(tmp_path: Path) -> Callable[[AuditConfig], Run]:
    """Runs that do everything themselves; the report shows the last part of the name."""
    return lambda config: run_audit(config, tmp_path / "scratch" / "run")


def test_more_questions_and_models_leave_the_units_that_are_done(
    whole: Run, scratch: Callable[[AuditConfig], Run], tmp_path: Path, drawn: list[int]
) -> None:
    expected, words = scratch(MORE), list[str]()
    drawn.clear()
    run = run_audit(MORE, tmp_path / "run", reuse=[whole.path], notify=words.append)
    assert list_differing(run, expected) == []
    assert sorted(run.manifest["reused"]) == sorted(TAKEN)
    assert run.manifest["reused"][TAKEN[0]] == {"run": str(whole.path), "created": whole.manifest["created"]}
    assert run.manifest["work"][TAKEN[0]] == whole.manifest["work"][TAKEN[0]]
    assert words[0] == f"Taken over from {whole.path}: 4 of 9 units."
    assert [line.partition(":")[0] for line in words[1:]] == ["O1 running-sum"]  # what the rest will take
    assert drawn == [2] * 5  # two units of O5 and O4, and three of O1, of two questions each


@pytest.mark.parametrize("has_workers", [False, True])
def test_other_assays_take_over_the_chains_of_thought(
    has_workers: bool, whole: Run, scratch: Callable[[AuditConfig], Run], tmp_path: Path, drawn: list[int]
) -> None:
    expected, words, path = scratch(WIDER), list[str](), tmp_path / "run"
    all_drawn = drawn.copy()
    drawn.clear()
    if has_workers:
        with prepare_run(WIDER, path, notify=words.append, reuse=[whole.path]):
            pass
        assert len(list(path.glob("chains/*"))) == 4
        assert sorted(work_on_run(path).done) == sorted([*TAKEN, "O5 running-sum 2", "O4 running-sum 2"])
        run = conclude_run(path)
    else:
        run = run_audit(WIDER, path, notify=words.append, reuse=[whole.path])
    assert list_differing(run, expected) == []
    assert not (path / "chains").exists()
    assert words[0] == f"Taken over from {whole.path}: 0 of 6 units, and the chains of thought of 4 more."
    estimates = 2 if has_workers else 0  # `audit` writes the edits of a chain of each model to estimate the time
    assert len(all_drawn) - estimates - len(drawn) == 4  # each unit has one call for chains, and others for edits
    assert "reused" not in run.manifest


def test_chains_are_drawn_again_where_the_call_would_be_another(whole: Run, tmp_path: Path) -> None:
    """Chains of counterfactual questions are drawn together with the others."""
    assert {*whole.drafts["name"]} == {"chain"}
    config = replace(CONFIG, assays=("mediation",))
    with pytest.raises(RunError, match=r"can be taken over: assays: \['baselines'.*\['mediation'\] given"):
        run_audit(config, tmp_path / "run", reuse=[whole.path])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed: 0 in the folder, 1 given"),
        ({"subjects": (Subject("O1", "running-sum"),)}, "weights of O1"),
        ({"threads": 2}, "threads: 1 in the folder, 2 here"),
        ({"sampling": replace(CONFIG.sampling, max_new_tokens=61)}, "max_new_tokens: 60 in the folder, 61 given"),
    ],
)
def test_a_run_of_which_nothing_can_be_taken_over_is_refused(
    change: dict, words: str, whole: Run, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=words) as caught:
        run_audit(replace(CONFIG, **change), tmp_path / "run", reuse=[whole.path])
    assert f"no work of the run in {whole.path} can be taken over" in caught.value.problem
    assert not (tmp_path / "run").exists()
    with (
        pytest.raises(RunError, match=words),
        prepare_run(replace(CONFIG, **change), tmp_path / "run", reuse=[whole.path]),
    ):
        pass


def test_a_run_without_finished_units_is_refused(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "prepared")
    with pytest.raises(RunError, match="that could be taken over is finished") as caught:
        run_audit(CONFIG, tmp_path / "run", reuse=[prepared])
    assert f"--resume {prepared}" in caught.value.fix
    with pytest.raises(RunError, match="is not a run folder"):
        run_audit(CONFIG, tmp_path / "run", reuse=[tmp_path / "none"])
    assert not (tmp_path / "run").exists()


def test_a_damaged_part_is_said_and_its_unit_done_again(whole: Run, tmp_path: Path) -> None:
    other, words = tmp_path / "other", list[str]()
    shutil.copytree(whole.path, other)
    name = f"parts/answers/{quote_key(TAKEN[1])}.parquet"
    (other / name).write_bytes((other / name).read_bytes()[:-1])
    run = run_audit(CONFIG, tmp_path / "run", reuse=[other], notify=words.append)
    assert list_differing(run, whole) == []
    assert sorted(run.manifest["reused"]) == sorted(each for each in TAKEN if each != TAKEN[1])
    assert f"3 of 4 units.\n{TAKEN[1]} is done again: the run in {other} is not as" in words[0]
    assert f"{name} is torn or changed" in words[0]


@pytest.mark.parametrize("token", [7, 2**62])
def test_a_chain_whose_tokens_are_not_those_of_its_text_is_drawn_again(
    token: int,
    whole: Run,
    scratch: Callable[[AuditConfig], Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected, other = scratch(WIDER), Run(shutil.copytree(whole.path, tmp_path / "other"))
    rewrite(other, f"parts/drafts/{quote_key(TAKEN[0])}.parquet", put("ids", [token]))
    run = run_audit(WIDER, tmp_path / "run", reuse=[other.path])
    assert list_differing(run, expected) == []
    assert caplog.text.count("that was taken over has the tokens of another text. It is drawn again.") == 1


def test_a_unit_for_which_memory_ran_out_is_done_again(whole: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(whole.path, other)
    Run(other).add_to_manifest("retried", {TAKEN[0]: []})
    run = run_audit(CONFIG, tmp_path / "run", reuse=[other])
    assert sorted(run.manifest["reused"]) == sorted(TAKEN[1:])
    assert list_differing(run, whole) == []


def test_several_runs_and_a_run_that_is_continued_take_over_what_they_lack(whole: Run, tmp_path: Path) -> None:
    one, path, words = tmp_path / "one", tmp_path / "run", list[str]()
    run_audit(replace(CONFIG, subjects=CONFIG.subjects[1:]), one)
    with prepare_run(CONFIG, path, notify=words.append, reuse=[one]):
        assert words == [f"Taken over from {one}: 2 of 4 units."]
    run = run_audit(CONFIG, path, resume=True, reuse=[one, whole.path], notify=words.append)
    assert words[1:] == [f"Taken over from {one}: 0 of 4 units.", f"Taken over from {whole.path}: 2 of 4 units."]
    assert {key: origin["run"] for key, origin in run.manifest["reused"].items()} == {
        **dict.fromkeys(TAKEN[:2], str(whole.path)),
        **dict.fromkeys(TAKEN[2:], str(one)),
    }
    assert list_differing(run, whole) == []


class OwnTask(RunningSum):
    """A task outside of faithlens, whose code can change edits and leave the words of questions."""


def test_the_code_of_an_own_task_is_a_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = OwnTask()
    own = {"threads": 1, "batch": 2, "device": "cpu", "assays": "baselines", "max_new_tokens": 60}
    first = audit("O5", task, 2, tmp_path / "first", **own)
    digest = first.manifest["inputs"][f"code of the task {task.name}"]
    assert digest == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    again = audit("O5", task, 4, tmp_path / "again", reuse=[tmp_path / "first"], **own)
    assert list(again.manifest["reused"]) == [f"O5 {task.name} 0"]
    monkeypatch.setattr("faithlens.commands.identity.hash_source", lambda _: "other")
    with pytest.raises(RunError, match="code of the task running-sum"):
        audit("O5", task, 4, tmp_path / "changed", reuse=[str(tmp_path / "first")], **own)
