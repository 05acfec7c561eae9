"""The planted ceiling of monitors: a new run gives the committed numbers, and they stand beside those of a run."""

import json
from io import StringIO
from pathlib import Path

import pytest

from faithlens.commands.judge.ceiling import measure_ceilings
from faithlens.commands.judge.monitor import CEILING_FILE, read_ceilings
from faithlens.console import SafeConsole
from faithlens.measures.catalogue import get_measure
from faithlens.measures.catalogue.judged import MONITORABILITY, VIEWS
from faithlens.report.judge import format_monitoring


def test_the_committed_ceilings_are_made_again(tmp_path: Path) -> None:
    committed = json.loads(CEILING_FILE.read_text(encoding="utf-8"))
    again = measure_ceilings(tmp_path / "run")
    assert {name: again[name] for name in committed if name != "ceilings"} == {
        name: value for name, value in committed.items() if name != "ceilings"
    }
    assert len(again["ceilings"]) == len(committed["ceilings"]) == 2 * len(VIEWS)
    for new, old in zip(again["ceilings"], committed["ceilings"], strict=True):
        assert (new["monitor"], new["view"], new["n"]) == (old["monitor"], old["view"], old["n"])
        assert new["value"] == pytest.approx(old["value"], abs=1e-3)  # the classifier is fitted in float64
        assert new["chance"] == pytest.approx(old["chance"], abs=1e-3)
    ceilings = read_ceilings()
    assert ceilings["words", "chain"] == 1.0  # every avowed chain names its hint, and no other chain does
    assert all(0.9 < value <= 1 for value in ceilings.values())


def test_the_table_reads_its_words_from_the_catalogue() -> None:
    at = {"model": "m", "task": "t", "monitor": "words", "view": "chain", "kind": "all hints", "reason": None}
    numbers = {
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "chance": 0.25,
        "ceiling": 1.0,
        "noticed": 0.7,
        "false_alarms": 0.0,
    }
    console = SafeConsole(width=200, record=True, file=StringIO())
    console.print(
        format_monitoring({"monitorability": [at | numbers, at | numbers | {"monitor": "m", "ceiling": None}]})
    )
    heads, words, model = (
        line for line in console.export_text().splitlines() if " 95 %" in line or "all hints" in line
    )
    label = get_measure(MONITORABILITY).label
    assert heads.split("  ")[0] == "monitor"
    assert all(text in heads for text in (label, "flags at random", "planted ceiling", "noticed", "false alarms"))
    assert words.split()[4:] == ["0.50", "0.40", "to", "0.60", "0.25", "1.00", "0.70", "0.00"]
    assert "–" in model
