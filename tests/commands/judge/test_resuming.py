"""What was judged is kept: a second command, a stopped one, a damaged batch, a run that is continued."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import faithlens as fl
from faithlens.commands.judge import run as run_module
from faithlens.commands.judge.run import judge
from faithlens.errors import RunError
from faithlens.judging.readers import JudgeModel
from tests.commands.judge.judged_run import N_PLANTED, JudgeServer, make_judge
from tests.store.test_tables import put, rewrite


def test_what_was_judged_is_not_asked_again(path: Path, server: JudgeServer, quick: None) -> None:
    judge(path, ["words", make_judge(server)])
    n = len(server.seen)
    assert n == len(set(server.seen)) > N_PLANTED
    plans = []
    judge(path, ["words", make_judge(server)], notify=plans.extend)
    assert len(server.seen) == n
    assert [plan.cost.requests for plan in plans] == [0, 0]
    judge(path, [JudgeModel(make_judge(server).writer, repeats=2)])
    assert len(server.seen) == 2 * n
    assert sorted(server.seen) == sorted(2 * [*set(server.seen)])


class SilentWriter:
    """A model in this process that says of every chain that it says nothing."""

    name = "silent"

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = 60) -> list[str]:
        return ['{"label": "unsaid"}'] * len(requests)


class Stop(BaseException):
    """Ends the process in the middle."""


def test_a_stopped_command_keeps_what_was_judged_and_shows_how_far_it_is(
    path: Path, server: JudgeServer, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int | None, int]] = []

    @contextmanager
    def show(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        def advance(amount: int) -> None:
            calls.append((label, total, amount))
            if len(calls) == 3:
                raise Stop

        yield advance

    monkeypatch.setattr(run_module, "show_part", show)
    with pytest.raises(Stop):
        judge(path, [make_judge(server)])
    n = len(server.seen)
    finished = fl.Run.open(path).judgements
    assert len(finished) == n == 48
    judge(path, [make_judge(server)])
    assert len(server.seen) == len(set(server.seen))
    assert fl.Run.open(path).judgements["digest"].nunique() == len(server.seen)
    before, later = calls[:3], calls[3:]
    assert before == [(f"{server.name} reads", len(server.seen), 16)] * 3
    assert {total for _, total, _ in later} == {sum(amount for _, _, amount in later)} == {len(server.seen) - 48}


def test_a_damaged_batch_is_set_aside_and_judged_again_and_no_other_is_lost(
    path: Path, server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    readers = ["words", make_judge(server)]
    judge(path, readers)
    before, n = fl.Run.open(path), len(server.seen)
    damaged = next(each for each in (path / "parts" / "judgements").iterdir() if "words" not in each.name)
    n_lost = len(pd.read_parquet(damaged))
    damaged.write_bytes(b"torn")
    with pytest.raises(RunError, match="torn"):
        fl.Run.open(path)
    options = {"assays": ("baselines", "hints", "hint_mediation"), "device": "cpu"}
    resumed = fl.audit("O9", "running-sum-hints", 4, path, resume=True, **options)
    assert "set aside, and faithlens judge or monitor makes it again" in caplog.text
    assert resumed.estimates.equals(before.estimates)  # by the errors that were measured
    judge(path, readers)
    assert len(server.seen) - n == n_lost
    assert fl.Run.open(path).judgements.equals(before.judgements)
    judge(path, readers)
    assert len(server.seen) - n == n_lost


@pytest.mark.parametrize(
    ("name", "column"),
    [("parts/judgements/words%20saying.parquet", "judged"), ("parts/scores/readers.parquet", "unit")],
)
def test_judged_rows_that_could_not_have_been_written_are_made_again(
    name: str, column: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    readers = ["words", JudgeModel(SilentWriter(), repeats=1)]
    judge(path, readers)
    before = fl.Run.open(path)
    judgements, scores = before.judgements, before.scores
    rewrite(before, name, put(column, "apples"))
    judge(path, readers)
    assert f"{name} cannot be believed: {column} of" in caplog.text
    after = fl.Run.open(path)
    assert after.judgements.equals(judgements)
    assert after.scores.equals(scores)


def test_a_judged_run_is_resumed_with_its_judgements(path: Path) -> None:
    judge(path, ["words", JudgeModel(SilentWriter(), repeats=1)])
    before = fl.Run.open(path)
    options = {"assays": ("baselines", "hints", "hint_mediation"), "device": "cpu"}
    again = fl.audit("O9", "running-sum-hints", 4, path, resume=True, **options)
    assert again.estimates.equals(before.estimates)
    assert again.judgements.equals(before.judgements)
