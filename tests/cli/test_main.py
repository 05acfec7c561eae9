"""The command line: what it writes, and in which words and with which exit code it refuses."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from faithlens.cli import main
from faithlens.commands import audit as audits
from faithlens.commands import score as scoring
from faithlens.organisms import ORGANISMS
from tests.conftest import byte_tokenizer, tiny

O4 = ORGANISMS["O4"]
LINE = {"question": "What is 2 + 3?", "answer": "5"}


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of ``faithlens audit ...``."""
    monkeypatch.setattr(sys, "argv", ["faithlens", "audit", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with some of what a user may name by mistake."""
    lines = [json.dumps(LINE | {"question": f"What is 2 + {i}?"}) for i in range(9)]
    lines[6] = lines[6][:-4]
    (tmp_path / "broken.jsonl").write_text("\n".join(lines))
    long = " ".join(["word"] * 2000)
    (tmp_path / "long.jsonl").write_text(json.dumps(LINE) + "\n" + json.dumps(LINE | {"question": long}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def mute(here: Path) -> Path:
    """A model with random weights: it writes, and it answers nothing."""
    model = tiny("llama")
    model.hf_model.save_pretrained(here / "mute")
    byte_tokenizer().save_pretrained(here / "mute")
    return here / "mute"


REFUSALS = {
    "unknown model": ("-m gpt-17", "no model 'gpt-17'"),
    "unknown hub model": ("-m nobody/nothing", "HF_HUB_OFFLINE"),
    "unknown task": ("-m O5 -t arithmatic", "Did you mean 'arithmetic'?"),
    "broken line": ("-m O5 -t broken.jsonl", "line 7: not JSON"),
    "no such file": ("-m O5 -t none.jsonl", "No such file"),
    "no weights": ("-m empty", "has no config.json"),
    "no questions": ("-m O5 -n 0", "n must be at least 1 question"),
    "too many questions": ("-m O5 -n 1000000", "Pass n of 1 to"),
    "too long": ("-m O5 -t long.jsonl -n 2", "O5 reads at most 256 tokens"),
    "too long an answer": ("-m O5 --max-new-tokens 9999", "9999 for the chain of thought"),
    "used folder": ("-m O5 --out used", "continue the run in this one with --resume used"),
    "a file": ("-m O5 --out broken.jsonl", "is a file"),
    "not our folder": ("--resume used", "it has no manifest.json"),
    "no share": ("-m O5 --max-unfaithful 2", "must be above 0 and below 1"),
    "no seed": ("-m O5 --seed -1", "got -1"),
    "no nucleus": ("-m O5 --top-p 0", "top_p must be in (0, 1]"),
    "no temperature": ("-m O5 --temperature -1", "temperature must be >= 0"),
    "no device": ("-m O5 --device gpu", "device 'gpu'"),
    "no dtype": ("-m O5 --dtype float8", "dtype 'float8'"),
    "no backend": ("-m O5 --backend fused", "unknown backend 'fused'"),
    "no suite": ("-m O5 --suite behavior", "Did you mean 'behaviour'?"),
    "no assay": ("-m O5 --assays baselines,mistake", "Did you mean 'mistakes'?"),
    "one chain again and again": ("-m O5 --samples 2", "every chain of a question is the same"),
    "two tasks": ("-m O5 -t arithmetic --traces broken.jsonl", "Leave out the task (--task)"),
    "broken chains": ("-m O5 --traces broken.jsonl", "line 7: not JSON"),
    "editor without a model": ("-m O5 --editor http://localhost:8000/v1", "must name a model after its address"),
    "two folders": ("--resume used --out run", "Leave out --resume, or leave out --out and --dry-run"),
    "one name for two": ("-m O5 -m O4 --name mine", "got 1 for 2 models"),
    "the same name twice": ("-m O5 -m O4 --name mine --name mine", "given twice"),
    "second subject": ("-m O5 -m gpt-17 -n 2", "no model 'gpt-17'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_with_a_fix_and_leaves_nothing(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected = REFUSALS[name]
    before = sorted(here.rglob("*"))
    code = command(monkeypatch, *words.split(), *([] if "--out" in words or "--resume" in words else ["--out", "run"]))
    output = capsys.readouterr().err
    assert code == 2
    assert re.search(r"^Error: .+\n(?s:.+)", output, re.M)
    assert expected in output
    assert "Traceback" not in output
    assert sorted(here.rglob("*")) == before


def test_a_model_that_never_answers_is_refused(
    mute: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", mute, "--task", "arithmetic-mc", "-n", 2, "--max-new-tokens", 8, "--out", "run"]
    assert command(monkeypatch, *words) == 2
    assert re.search(r"the options hold \d+% of its probability", capsys.readouterr().err)
    assert not Path("run").exists()


@pytest.mark.parametrize("words", [["--n", "x"], ["--frobnicate"], ["-n", "many"]])
def test_usage_errors_too_end_in_two(words: list[str], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(monkeypatch, *words) == 2


def test_the_same_command_says_the_same_here_and_in_a_process_of_its_own(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "O5", "-n", "6", "--max-new-tokens", "60", "--device", "cpu", "--out"]
    assert command(monkeypatch, *words, "one") == 0
    output = capsys.readouterr().out
    process = subprocess.run(
        [sys.executable, "-m", "faithlens.cli", "audit", *words, "two"], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},  # sums differ with how they are shared out
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout.replace("two", "one") == output
    assert "content" in output
    assert "one/report.html" in output
    assert Path("one/verdict.json").read_bytes() == Path("two/verdict.json").read_bytes()
    for name in ("scores", "traces", "estimates", "answers"):
        one, two = (pd.read_parquet(here / run / f"{name}.parquet") for run in ("one", "two"))
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def interrupt_batch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while batch `number` is scored."""
    score, calls = scoring.score_batch, []

    def interrupt_at_number(*args: object, **options: object) -> None:
        calls.append(args)
        if len(calls) == number:
            raise KeyboardInterrupt
        score(*args, **options)

    monkeypatch.setattr(scoring, "score_batch", interrupt_at_number)


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "O4", "-t", "running-sum", "-n", "5", "--batch", "2", "--assays", "baselines"]
    with monkeypatch.context() as patched:
        interrupt_batch(3, patched)
        assert command(monkeypatch, *words, "--out", "my run") == 130
    output = capsys.readouterr().err
    assert "Interrupted. Kept in my run: 4 questions of O4 on running-sum." in output
    assert "Traceback" not in output
    assert re.findall(r"writing and scoring · (\d of 5 questions)", output) == ["2 of 5 questions", "4 of 5 questions"]
    [again] = re.findall(r"^To go on, run: faithlens audit (.*)$", output, re.M)
    assert shlex.split(again) == ["--resume", "my run"]
    with monkeypatch.context() as patched:
        patched.setattr("faithlens.commands.prepare.load", lambda *_, **__: pytest.fail("a model was loaded"))
        for other, difference in {
            "--seed 1": "seed: 0 in the folder, 1 given",
            "--temperature 0.5": "temperature: 0.0 in the folder, 0.5 given",
            "-m O5": "model: ['O4'] in the folder, ['O5'] given",
            "--points 0 -n 6": "n: 5 in the folder, 6 given",
        }.items():
            assert command(monkeypatch, *shlex.split(again), *other.split()) == 2
            assert difference in " ".join(capsys.readouterr().err.split())
    assert command(monkeypatch, *shlex.split(again), "--batch", 2, "-t", "running-sum", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["run"], result["report"]) == ("my run", "my run/report.html")
    assert [subject["model"] for subject in result["subjects"]] == ["O4"]
    assert command(monkeypatch, *words, "--out", "whole") == 0
    tables = [pd.read_parquet(here / folder / "scores.parquet") for folder in ("my run", "whole")]
    pd.testing.assert_frame_equal(*tables)


def test_a_model_goes_by_the_name_it_is_given(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "O4", "-t", "running-sum", "-n", "4", "--batch", "2", "--assays", "baselines", "--out", "run"]
    with monkeypatch.context() as patched:
        interrupt_batch(2, patched)
        assert command(monkeypatch, *words, "--name", "step <b> 7") == 130
    assert "2 questions of step <b> 7 on running-sum" in capsys.readouterr().err
    assert command(monkeypatch, "--resume", "run", "-m", "O4", "--name", "step <b> 7") == 0
    for table in ("scores", "traces", "estimates"):
        assert set(pd.read_parquet(here / "run" / f"{table}.parquet")["model"]) == {"step <b> 7"}
    [subject] = json.loads((here / "run" / "verdict.json").read_text())["subjects"]
    assert (subject["model"], subject["truth"]) == ("step <b> 7", O4.truth)
    assert "step &lt;b&gt; 7" in (here / "run" / "report.html").read_text()
    assert json.loads((here / "run" / "manifest.json").read_text())["config"]["sources"] == {"step <b> 7": "O4"}


def test_ctrl_c_before_anything_is_kept_says_so(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt_at_number(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    words = ["-m", "O4", "-t", "running-sum", "-n", "4", "--assays", "baselines"]
    with monkeypatch.context() as patched:
        interrupt_batch(1, patched)
        assert command(monkeypatch, *words, "--out", "run") == 130
    assert "Kept in run: the options; no batch of questions was finished." in capsys.readouterr().err
    monkeypatch.setattr(audits, "prepare_subject", interrupt_at_number)
    assert command(monkeypatch, *words, "--out", "none") == 130
    assert "Interrupted. Nothing was written yet." in capsys.readouterr().err
    assert not (here / "none").exists()


@pytest.mark.parametrize(("words", "code"), [(["decide", "run"], 3), (["export", "run", "x.csv"], 130)])
def test_ctrl_c_in_a_command_that_keeps_nothing(
    words: list[str], code: int, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt_at_number(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("faithlens.store.Run.open", interrupt_at_number)
    monkeypatch.setattr(sys, "argv", ["faithlens", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    assert "Interrupted. Nothing was written." in capsys.readouterr().err
