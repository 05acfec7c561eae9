"""Judges that fail in every way: nothing is lost, and nothing that cannot be read becomes a label."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.commands.judge.run import judge
from faithlens.execution.endpoint import Endpoint
from faithlens.judging.readers import JudgeModel
from faithlens.store import Run
from tests.commands.judge.judged_run import (
    N_PLANTED,
    JudgeServer,
    complete,
    find_share,
    make_judge,
    serve_judge,
)
from tests.execution.http_server import KEY, Reply

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


def test_the_key_is_in_no_file_and_no_message(path: Path, server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the server repeats it: in an error, in a reply, and spelled in numbers."""
    spelled = "".join(f"\\u{ord(each):04x}" for each in KEY)
    echo = complete("X")[2].replace(b"X", f"the key is {spelled}".encode())
    refused: list[Reply | str] = [FAILURES["401"], (400, {}, KEY.encode())]
    server.replies = [*refused, *[(200, {}, echo), complete(KEY)] * 200]
    answer = CliRunner().invoke(
        app, ["judge", str(path), "--reader", "words", "--reader", server.name, "--repeats", "1"]
    )
    assert answer.exit_code == 2
    assert "Failed: 1 requests" in answer.output
    assert "the reply is no JSON object" in answer.output
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert KEY not in answer.output
    files = [each for each in path.rglob("*") if each.is_file()]
    assert any(each.parent.name == "judgements" for each in files)
    assert [each.name for each in files if KEY.encode() in each.read_bytes()] == []
    run = fl.Run.open(path)
    assert not run.judgements["reply"].str.contains(KEY).any()
    replies = run.judgements["reply"][run.judgements["reader"] == server.name]
    assert replies.str.contains("$OPENAI_API_KEY", regex=False).all()
    assert len(replies) > N_PLANTED
    assert KEY not in json.dumps(run.read_json("readers.json"))
