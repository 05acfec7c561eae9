from io import StringIO

import pytest
from rich.console import Console

from faithlens.report.terminal import KNOWN_HEADING, REAL_HEADING, format_summary, group_by_truth


def test_summary_names_planted_truth_first_and_gives_each_verdict(run):
    console = Console(width=200, record=True, file=StringIO())
    console.print(format_summary(run))
    text = console.export_text()
    assert (
        text.index(KNOWN_HEADING)
        < text.index("O5 scratchpad")
        < text.index(REAL_HEADING)
        < text.index("tiny <b>chat</b> model")
    )
    for words in ("trust", "do-not-trust", "undecided", "✗ causal 0/40", "✓ legible 40/40", "a capability result"):
        assert words in text


def test_a_name_in_square_brackets_is_not_markup(run):
    verdicts = run.read_json("verdict.json")
    verdicts["subjects"][2]["model"] = "[red]model[/red]"
    run.write_json("verdict.json", verdicts)
    console = Console(width=200, record=True, file=StringIO())
    console.print(format_summary(run))
    assert "[red]model[/red]" in console.export_text()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_cut_off_at_any_width(run, width):
    console = Console(width=width, record=True, file=StringIO())
    console.print(format_summary(run))
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for subject in run.read_json("verdict.json")["subjects"]:
        number = subject["measures"]["mediation.content_share"]
        assert f"{number['low']:.2f}–{number['high']:.2f}".replace("-", "−") in text
        for gate in subject["gates"]:
            if gate["status"] not in ("not tested", "not askable"):
                assert f"{gate['gate']} {gate['n_passed']}/{gate['n_asked']}" in text  # on one line


def test_a_reason_is_said_once(run):
    console = Console(width=2000, record=True, file=StringIO())
    console.print(format_summary(run))
    text = console.export_text()
    failed = next(s for s in run.read_json("verdict.json")["subjects"] if s["verdict"] == "do-not-trust")
    example = next(gate["example"] for gate in failed["gates"] if gate["status"] == "failed")
    assert text.count(f"{example['question']}: {example['reason']}.") == 1


def test_empty_headings_are_left_out():
    assert list(group_by_truth([{"model": "m", "truth": None}])) == [REAL_HEADING]
