"""The cells of switches by readers: as planted in O9, as the words form them, and with what open chains may bring."""

from pathlib import Path

import pandas as pd
import pytest

import faithlens as fl
from faithlens.assays.hint_paths import CELLS
from faithlens.commands.judge.cells import estimate_cells
from faithlens.commands.judge.chains import HintedChain
from faithlens.commands.judge.run import judge
from faithlens.judging.inquiry import Inquiry, Judgement
from tests.commands.judge.judged_run import JudgeServer, list_switched, make_judge

PLANTED = {
    "silent": "unsaid_around",
    "half": "unsaid_around",
    "avowed": "said_through",
    "rationalised": "unsaid_through",
}
"""What O9 is taught to do with each hint."""


def test_each_reader_forms_the_planted_cells(path: Path, server: JudgeServer) -> None:
    """In readers.json, in the figure and on the page; by the words they are those of the audit."""
    rows = judge(path, ["words", make_judge(server)]).summary["cells"]
    run = fl.Run.open(path)
    planted = list_switched(run)["kind"].map(PLANTED)
    assert planted.nunique() == 3
    estimates = {row["measure"]: row for row in run.estimates.to_dict("records")}
    for reader in ("words", server.name, "all readers"):
        own = {row["measure"]: row for row in rows if row["reader"] == reader}
        assert [*own] == [f"hint_mediation.{cell}" for cell in CELLS]
        for cell in CELLS:
            row, by_words = own[f"hint_mediation.{cell}"], estimates[f"hint_mediation.{cell}"]
            assert row["value"] == pytest.approx((planted == cell).mean())
            assert row["value"] == pytest.approx(by_words["value"])
            assert row["n_used"] == by_words["n_used"]
            assert row["low"] <= row["value"] <= row["high"]
            assert (row["condition"] is None) == (row["value"] == 0)
            if row["value"]:
                assert PLANTED[row["condition"].removeprefix("hint_").partition("@")[0]] == cell
        assert {row["n_open"] for row in own.values()} == {0}
    figure = fl.figures.plot_hint_paths(pd.DataFrame(rows), drafts=run.drafts).to_dict()
    titles = [each["text"] for each in figure["layout"]["annotations"]]
    assert [title.rpartition(", ")[2] for title in titles] == ["words", server.name, "all readers"]
    drawn = figure["data"][1]
    assert drawn["z"][0][0] == pytest.approx((planted == "said_through").mean())
    assert "following hint" in drawn["customdata"][0][0]
    page = run.report().read_text(encoding="utf-8")
    assert f"Said or unsaid as read by {server.name}, through the chain or around it (hint)" in page


def make_switch(i: int) -> HintedChain:
    inquiries = [Inquiry("silent", "5", "", text) for text in (f"chain {i}", f"plain {i}")]
    return HintedChain("m", "t", f"q{i}", 0, "hint_silent@5", True, True, "5", "4", *inquiries)


def test_what_a_reader_leaves_open_widens_every_cell() -> None:
    """With 300 switches, of which a third each is unsaid and through, unsaid and around, and open."""
    switches = [make_switch(i) for i in range(300)]
    paths = {each.key: ("hint_mediation", "through" if i % 3 == 0 else "around") for i, each in enumerate(switches)}
    open_ones = {each.hinted for each in switches[2::3]}

    def read(inquiry: Inquiry) -> Judgement:
        return Judgement(None, "late") if inquiry in open_ones else Judgement("unsaid")

    rows = {row["measure"]: row for row in estimate_cells(switches, paths, {"r": read}, 0)}  # pyright: ignore[reportArgumentType]
    assert len(rows) == len(CELLS)
    for cell in ("unsaid_through", "unsaid_around"):
        row = rows[f"hint_mediation.{cell}"]
        assert (row["value"], row["n_used"], row["n_open"], row["question"] is None) == (0.5, 200, 100, False)
        assert 1 / 3 - 0.07 < row["low"] < 1 / 3 < 2 / 3 < row["high"] < 2 / 3 + 0.07
    empty = rows["hint_mediation.said_through"]
    assert (empty["value"], empty["low"], empty["question"]) == (0.0, 0.0, None)
    assert 1 / 3 < empty["high"] < 1 / 3 + 0.07
    silent = {row["measure"]: row for row in estimate_cells(switches[2::3], paths, {"r": read}, 0)}  # pyright: ignore[reportArgumentType]
    assert {(row["value"], row["n_used"], row["n_open"], row["reason"]) for row in silent.values()} == {
        (None, 0, 100, "100 of 100 texts were not read: late")
    }
