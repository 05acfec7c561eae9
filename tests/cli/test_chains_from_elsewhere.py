"""Chains of thought that were written elsewhere, from the command line to the manifest."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from faithlens.cli import main
from tests.conftest import byte_tokenizer, tiny

PREOPENED = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}"
)
LINE = {"choices": ["Mars", "Jupiter"], "answer": "B"}
CHAINS = {
    "Which is largest?": ("<think>\nIt is Jupiter.\n</think>\n\nThe answer is (B).<|im_end|>", "It is Jupiter.\n"),
    "Which is a giant?": ("Jupiter is. So it is (B).\n</think>\n\nIt is (B).", "Jupiter is. So it is (B).\n"),
    "Which is not red?": ("Mars is red. So it is (B).<|im_end|>", "Mars is red. So it is (B)."),
    "Which is fifth?": ("[THINK]Mars is fourth. So B.[/THINK]The answer is (B).", "Mars is fourth. So B."),
}
BAD = [
    LINE | {"question": "Which is near?", "answer": "C", "cot": "Mars."},
    LINE | {"question": "Which is far?", "answer": "D", "cot": "Jupiter."},
    LINE | {"question": "Which is largest?", "answer": "A", "cot": "Mars."},
]


def audit(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of ``faithlens audit --model thinker ...``."""
    monkeypatch.setattr(sys, "argv", ["faithlens", "audit", "--model", "thinker", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reasoning model of random weights, and files of chains."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = PREOPENED
    tokenizer.save_pretrained(tmp_path / "thinker")
    tiny("llama").hf_model.save_pretrained(tmp_path / "thinker")
    good = [LINE | {"question": question, "cot": cot} for question, (cot, _) in CHAINS.items()]
    (tmp_path / "good.jsonl").write_text("\n".join(map(json.dumps, good)))
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, [*good, *BAD])))
    (tmp_path / "bad.jsonl").write_text("\n".join(map(json.dumps, BAD[:2])))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("faithlens.assays.cases.MIN_COVERAGE", 0.0)  # random weights answer anything
    return tmp_path


def test_bad_entries_are_left_out_and_counted_in_the_manifest(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--traces", "mixed.jsonl", "--assays", "baselines", "--out", "run", "--skip-bad"]
    assert audit(monkeypatch, *words) in (0, 1)
    traces = pd.read_parquet("run/traces.parquet").set_index("question")["cot"]
    assert sorted(traces) == sorted(thoughts for _, thoughts in CHAINS.values())
    [text] = json.loads(Path("run/manifest.json").read_text())["subjects"].values()
    assert text["left_out"] == {"answer ... is no option": 2, "the same question as ... at ...": 1}
    assert "remarks" not in text


def test_without_it_the_first_bad_entry_is_shown_with_its_place(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, "--traces", "mixed.jsonl", "--assays", "baselines", "--out", "run") == 2
    output = capsys.readouterr().err
    assert "mixed.jsonl has 3 bad lines; nothing was loaded" in output
    assert "line 5: answer 'C' is no option; write one of A, B or an option's content" in output
    assert "leave bad ones out with --skip-bad" in output
    assert not Path("run").exists()


def test_a_file_of_bad_entries_alone_is_refused_all_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, "--traces", "bad.jsonl", "--skip-bad", "--out", "run") == 2
    output = capsys.readouterr().err
    assert "line 1: answer 'C' is no option" in output
    assert "No entry can be used" in output
    assert "with --skip-bad" not in output
