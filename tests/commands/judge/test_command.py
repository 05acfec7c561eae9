"""The command `judge`: costs before requests, tables, JSON, and options that are refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.commands.judge.run import judge
from faithlens.errors import ConfigError, RunError
from tests.commands.judge.judged_run import (
    JudgeServer,
    make_judge,
)
from tests.execution.http_server import KEY


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


def test_the_command_prints_costs_tables_and_json(path: Path, server: JudgeServer, quick: None) -> None:
    runner = CliRunner()
    command = ["judge", str(path), "--reader", "words", "--reader", server.name]
    dry = runner.invoke(app, [*command, "--dry-run"])
    assert dry.exit_code == 0
    assert "words: no requests" in dry.output
    assert "requests, about" in dry.output
    assert "Not counted: a reply that cannot be read is requested once more." in dry.output
    assert server.seen == []
    planned = runner.invoke(app, [*command, "--dry-run", "--json"])
    costs = json.loads(planned.stdout)["costs"]
    assert costs["words"] == {"requests": 0, "tokens": 0, "most_reply_tokens": 0}
    assert costs[server.name]["most_reply_tokens"] == 256 * costs[server.name]["requests"] > 0
    assert server.seen == []
    full = runner.invoke(app, command)
    assert full.exit_code == 0
    assert all(words in full.output for words in ("On chains whose saying is planted", "9 of 42", "Gwet's AC1"))
    answer = runner.invoke(app, [*command, "--json"])
    assert json.loads(answer.stdout) == fl.Run.open(path).read_json("readers.json")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no reader was named"),
        (["--reader", "wrods"], "no reader 'wrods'"),
        (["--reader", "http://x.example/v1#m", "--key-env", "x.example=A1b2C3"], "key of x.example is not set"),
        (["--reader", "words", "--key-env", "x.example=A", "--key-env", "x.example=B"], "the host 'x.example' twice"),
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
    with pytest.raises(RunError, match="no chains under hints"):
        judge(run.path, "words")  # one name, and not five of a letter each
    with pytest.raises(RunError, match="is not a run folder"):
        judge(tmp_path / "nothing", ["words"])
    assert not (tmp_path / "nothing").exists()
