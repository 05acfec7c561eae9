"""Judges of a finished run: right ones, ones that fail in every way, stopped ones, and what follows for the verdict."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.commands.judge import run as run_module
from faithlens.commands.judge.run import judge
from faithlens.errors import ConfigError, RunError
from faithlens.execution.endpoint import Endpoint
from faithlens.judging.inquiry import Inquiry
from faithlens.judging.planted import list_planted_chains
from faithlens.judging.readers import JudgeModel
from faithlens.stats.raters import compute_ac1
from faithlens.store import Run
from tests.commands.judge.judged_run import JudgeServer, audit_o9, complete, serve_judge, tell_saying
from tests.execution.http_server import KEY

N_PLANTED = len(list_planted_chains())


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(str(audit_o9(tmp_path_factory.mktemp("o9") / "run").path))


@pytest.fixture
def path(audited: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(audited, tmp_path / "run"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve_judge() as it:
        yield it


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict and the report are left as they were."""
    monkeypatch.setattr(run_module, "conclude", lambda run: run)


def make_judge(server: JudgeServer, name: str = "judge", **more: object) -> JudgeModel:
    options = {"first_wait": 0.01, "timeout": 600.0, "retries": 0} | more
    return JudgeModel(Endpoint(server.url, name, **options), repeats=1)  # pyright: ignore[reportArgumentType]


def list_switched(run: fl.Run) -> pd.DataFrame:
    rows = run.hinted_chains
    return rows[(rows["plain_answer"] != rows["label"]) & (rows["answer"] == rows["label"])]


def find_share(summary: dict, reader: str, finding: str = "said") -> dict:
    [row] = [each for each in summary["shares"] if (each["reader"], each["finding"]) == (reader, finding)]
    return row


def test_the_table_of_hinted_chains_is_what_the_scores_were_made_of(audited: Path) -> None:
    """Switches, and what the words find, are the same by the table and by the scores of the audit."""
    run = fl.Run.open(audited)
    scores = run.scores.dropna(subset=["value"])
    switched = list_switched(run)
    assert set(run.hinted_chains["kind"]) == {"silent", "half", "avowed", "rationalised"}
    for row in run.hinted_chains.to_dict("records"):  # no <bos>, which a judge may take for its own
        assert row["prompt"].startswith(f"{row['kind'].capitalize()} hint {row['label']}: Start at ")
    for kind, rows in switched.groupby("kind"):
        counted = scores[scores["measure"] == f"hints.{kind}.switch"]["value"].sum()
        assert counted == len(rows)
        relies = scores[scores["measure"] == f"hints.{kind}.revealed_reliance"]["value"].sum()
        assert (
            relies == sum(tell_saying(cot) == "said" for cot in rows["cot"]) == (len(rows) if kind == "avowed" else 0)
        )
    assert len(switched) > 6


def test_two_readers_decide_the_gate_and_every_number_follows_by_hand(path: Path, server: JudgeServer) -> None:
    before = fl.Run.open(path)
    switched = list_switched(before)
    result = judge(path, ["words", make_judge(server)])
    assert result.failures == {}
    run, summary = fl.Run.open(path), result.summary
    assert json.loads(json.dumps(summary)) == run.read_json("readers.json")
    judged, words = server.name, "words"

    planted = {(row["reader"], row["finding"]): row["errors"] for row in summary["planted"]}
    assert planted[judged, "said"] == {"missed": (0, 42), "invented": (0, 61)}
    assert planted[judged, "named"] == {"missed": (0, 71), "invented": (0, 32)}
    assert planted[words, "said"] == {"missed": (13, 42), "invented": (2, 61)}
    n_said = sum(tell_saying(cot) == "said" for cot in switched["cot"])
    share = find_share(summary, judged)
    assert (share["n_switches"], share["n_open"], share["false_alarms"]) == (len(switched), 0, 0)
    assert share["counted"] == pytest.approx(n_said / len(switched))
    assert share["low"] < share["value"] < share["high"]
    assert share["value"] == pytest.approx(find_share(summary, words)["counted"], abs=1e-9)  # nothing to correct

    [agreement] = [row for row in summary["agreement"] if row["finding"] == "said"]
    labels = [tell_saying(cot) == "said" for cot in switched["cot"]]
    assert agreement["value"] == compute_ac1(labels, labels).value == 1
    assert (agreement["n"], agreement["n_same"]) == (len(switched), len(switched))

    scores = run.scores.dropna(subset=["value"])
    for kind, rows in switched.groupby("kind"):
        values = scores[scores["measure"] == f"judged.{kind}.said"]["value"]
        assert values.tolist() == [float(kind == "avowed")] * len(rows)
    [estimate] = run.estimates[run.estimates["measure"] == "judged.avowed.said"].to_dict("records")
    assert estimate["value"] == 1
    assert "reader's errors" in estimate["method"]
    assert run.verdict == before.verdict  # both readers see what the words saw
    page = run.report().read_text(encoding="utf-8")
    assert "Hints as readers judge them" in page


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


def test_costs_are_said_before_any_request(path: Path, server: JudgeServer, quick: None) -> None:
    files = {name: (path / name).read_bytes() for name in ("manifest.json", "verdict.json")}
    plans = []
    result = judge(path, ["words", make_judge(server)], notify=plans.extend, dry_run=True)
    assert (server.seen, result.summary) == ([], {})
    assert files == {name: (path / name).read_bytes() for name in files}
    words, model = plans
    assert words.cost.requests == 0
    judge(path, [make_judge(server)])
    assert model.cost.requests == len(server.seen)
    assert model.cost.tokens == pytest.approx(sum(map(len, server.seen)) / 3.5, abs=1)
    assert model.cost.most_reply_tokens == 256 * len(server.seen)
    assert {body["temperature"] for body in server.bodies} == {0.0}


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
        judge(path, readers)
    options = {"assays": ("baselines", "hints", "hint_mediation"), "device": "cpu"}
    resumed = fl.audit("O9", "running-sum-hints", 4, path, resume=True, **options)
    assert "set aside, and faithlens judge or monitor makes it again" in caplog.text
    assert resumed.estimates.equals(before.estimates)  # by the errors that were measured
    judge(path, readers)
    assert len(server.seen) - n == n_lost
    assert fl.Run.open(path).judgements.equals(before.judgements)
    judge(path, readers)
    assert len(server.seen) - n == n_lost


FAILURES = {
    "429": (429, {}, b"slow down"),
    "500": (500, {}, b"boom"),
    "401": (401, {}, f"bad key {KEY}".encode()),
    "redirect": (302, {"Location": "http://127.0.0.1:9/v1"}, b""),
    "no completion": (200, {}, b"<html>"),
    "half a body": (200, {"Content-Length": "4000"}, complete('{"label": "said"}')[2]),
}


def test_requests_that_fail_are_no_judgements_and_are_made_again(path: Path, server: JudgeServer, quick: None) -> None:
    """One request of the first batch fails in each way; all others are kept, and the next call makes those alone."""
    server.replies = [*FAILURES.values()]
    result = judge(path, ["words", make_judge(server)])
    reasons = result.failures[server.name]
    assert sum(reasons.values()) == len(FAILURES)
    expected = ("status 429", "status 500", "status 401", "status 302", "no chat completion", "broke off")
    assert all(any(words in reason for reason in reasons) for words in expected)
    n = len(set(server.seen))
    judgements = Run(path).judgements
    assert len(judgements[judgements["reader"] == server.name]) == n - len(FAILURES)
    [planted] = [row for row in result.summary["planted"] if (row["reader"], row["finding"]) == (server.name, "said")]
    assert planted["n_open"] == len(FAILURES)
    again = judge(path, ["words", make_judge(server)])
    assert again.failures == {}
    assert len(server.seen) == n + len(FAILURES)
    assert set(server.paths) == {"/v1/chat/completions"}
    assert find_share(again.summary, server.name)["n_open"] == 0


def test_a_reader_that_never_answers_is_stopped_after_one_batch(path: Path, server: JudgeServer, quick: None) -> None:
    server.always = FAILURES["401"]
    result = judge(path, ["words", make_judge(server)])
    assert len(server.seen) == 16
    [(reason, n)] = result.failures[server.name].items()
    assert n == 16
    assert "status 401: bad key $OPENAI_API_KEY" in reason
    run = Run(path)
    open_ones = run.scores[run.scores["measure"] == "judged.silent.said"]
    assert open_ones["value"].isna().all()
    assert open_ones["reason"].str.endswith("it has not read the chain").any()
    share = find_share(result.summary, "all readers")
    assert (share["value"], share["counted"]) == (None, None)


def test_a_server_that_is_gone_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serve_judge() as server:
        url = server.url
    reader = JudgeModel(Endpoint(url, "judge", timeout=0.2, retries=0), repeats=1)  # nobody listens any more
    result = judge(path, ["words", reader])
    assert sum(result.failures[reader.name].values()) == 16
    assert fl.Run.open(path).verdicts


OPEN_REPLIES = {
    "prose": "It relies on the hint.",
    "half an object": '{"label": "said", "quote": "Dro',
    "another object": '{"verdict": "said"}',
    "another label": '{"label": "honest", "quote": ""}',
    "a quote that is made up": '{"label": "said", "quote": "the hint made me do it, it really did"}',
    "nothing": "",
}


def test_what_cannot_be_read_is_open_and_never_a_label(path: Path, server: JudgeServer) -> None:
    server.replies = [*OPEN_REPLIES.values()] * 200
    result = judge(path, ["words", make_judge(server)])
    assert result.failures == {}
    run = fl.Run.open(path)
    rows = run.judgements[run.judgements["reader"] == server.name]
    assert rows["judged"].isna().all()
    assert rows["reason"].notna().all()
    assert set(rows["reply"]) == {*OPEN_REPLIES.values()}
    share = find_share(result.summary, "all readers")
    assert (share["n_open"], share["value"]) == (share["n_switches"], None)
    [gate] = [each for each in run.gates.to_dict("records") if each["gate"] == "disclosed"]
    assert (gate["n_failed"], gate["n_open"]) == (0, gate["n_asked"])  # words alone convict nobody


def test_readers_that_differ_leave_the_gate_open(path: Path, server: JudgeServer, quick: None) -> None:
    """The judge says of every chain that it is said, and quotes it: where the words say unsaid, nothing is decided."""

    def claim(inquiry: Inquiry) -> str:
        return json.dumps({"label": "said", "quote": inquiry.chain})

    class Yes:
        name, repeats = "yes", 1

        def read(self, inquiries, repeat):
            from faithlens.judging.requests import parse_reply

            return [parse_reply(each, claim(each)) for each in inquiries]

        def identify(self, inquiry):
            return inquiry.chain

        def estimate(self, inquiries):
            return make_judge(server).estimate(inquiries)

        def describe(self) -> dict[str, object]:
            return {"reader": self.name}

    summary = judge(path, ["words", Yes()]).summary
    errors = {(row["reader"], row["finding"]): row["errors"] for row in summary["planted"]}
    assert tuple(errors["yes", "said"]["invented"]) == (61, 61)
    alone = find_share(summary, "yes")
    assert (alone["counted"], alone["value"], alone["low"]) == (1.0, None, None)
    assert alone["reason"].startswith("open: the reader found 42 of 42 planted sayings and saw 61 in 61 chains")
    run = fl.Run.open(path)
    silent = run.scores[
        (run.scores["measure"] == "judged.silent.said") & run.scores["reason"].str.startswith("the readers")
    ]
    assert len(silent) > 0
    assert set(silent["reason"]) == {"the readers differ: words says unsaid, yes says said"}


def test_a_judged_run_is_resumed_with_its_judgements(path: Path) -> None:
    judge(path, ["words", JudgeModel(SilentWriter(), repeats=1)])
    before = fl.Run.open(path)
    options = {"assays": ("baselines", "hints", "hint_mediation"), "device": "cpu"}
    again = fl.audit("O9", "running-sum-hints", 4, path, resume=True, **options)
    assert again.estimates.equals(before.estimates)
    assert again.judgements.equals(before.judgements)


def test_one_reader_leaves_the_gate_to_the_words(path: Path, server: JudgeServer) -> None:
    judge(path, ["words", make_judge(server)])
    assert (fl.Run.open(path).scores["measure"].str.startswith("judged.")).any()
    before = fl.Run.open(path).gates
    judge(path, [make_judge(server)])
    run = fl.Run.open(path)
    assert not run.scores["measure"].str.startswith("judged.").any()
    assert run.gates.equals(before)


def test_the_key_is_in_no_file_and_no_message(path: Path, server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the server repeats it: in an error, in a reply, and spelled in numbers."""
    spelled = "".join(f"\\u{ord(each):04x}" for each in KEY)
    echo = complete("X")[2].replace(b"X", f"the key is {spelled}".encode())
    server.replies = [FAILURES["401"], (200, {}, echo), complete(f"{KEY}"), (400, {}, KEY.encode())]
    answer = CliRunner().invoke(
        app, ["judge", str(path), "--reader", "words", "--reader", server.name, "--repeats", "1"]
    )
    assert answer.exit_code == 2
    assert "Failed: 1 requests" in answer.output
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert KEY not in answer.output
    files = [each for each in path.rglob("*") if each.is_file()]
    assert any(each.parent.name == "judgements" for each in files)
    assert [each.name for each in files if KEY.encode() in each.read_bytes()] == []
    run = fl.Run.open(path)
    assert not run.judgements["reply"].str.contains(KEY).any()
    assert run.judgements["reply"].str.contains("$OPENAI_API_KEY", regex=False).sum() == 2
    assert KEY not in json.dumps(run.read_json("readers.json"))


def test_the_words_of_the_requests_are_kept(path: Path, server: JudgeServer, quick: None) -> None:
    judge(path, [make_judge(server)])
    [reader] = fl.Run.open(path).read_json("readers.json")["readers"]
    assert (reader["reader"], reader["temperature"], reader["repeats"]) == (server.name, 0.0, 1)
    assert reader["requests"]["saying"].startswith("A language model was given a prompt")


def test_the_command_prints_costs_tables_and_json(path: Path, server: JudgeServer, quick: None) -> None:
    runner = CliRunner()
    command = ["judge", str(path), "--reader", "words", "--reader", server.name]
    dry = runner.invoke(app, [*command, "--dry-run"])
    assert dry.exit_code == 0
    assert "words: no requests" in dry.output
    assert "requests, about" in dry.output
    assert server.seen == []
    full = runner.invoke(app, command)
    assert full.exit_code == 0
    assert all(words in full.output for words in ("On chains whose saying is planted", "13 of 42", "Gwet's AC1"))
    answer = runner.invoke(app, [*command, "--json"])
    assert json.loads(answer.stdout) == fl.Run.open(path).read_json("readers.json")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no reader was named"),
        (["--reader", "wrods"], "no reader 'wrods'"),
        (["--reader", "http://x.example/v1#m", "--key-env", "x.example=A1b2C3"], "key of x.example is not set"),
        (["--reader", "words", "--key-env", KEY], "not of the form HOST=VARIABLE"),
        (["--reader", "words", "--key-env", f"x.example={KEY}"], "not of the form HOST=VARIABLE"),
    ],
)
def test_wrong_options_are_refused(words: list[str], problem: str, path: Path) -> None:
    answer = CliRunner().invoke(app, ["judge", str(path), *words])
    assert isinstance(answer.exception, ConfigError)
    assert problem in answer.exception.problem
    assert KEY not in str(answer.exception)
    assert "A1b2C3" not in str(answer.exception)


def test_a_run_without_hints_and_a_folder_without_a_run_are_refused(tmp_path: Path) -> None:
    run = fl.audit("O5", "running-sum", 2, tmp_path / "run", assays=("baselines",), device="cpu")
    with pytest.raises(RunError, match="no chains under hints"):
        judge(run.path, ["words"])
    with pytest.raises(RunError, match="is not a run folder"):
        judge(tmp_path / "nothing", ["words"])
    assert not (tmp_path / "nothing").exists()
