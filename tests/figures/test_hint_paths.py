"""The table of a hint's switches: shares of the estimates, and an example with its chain behind each cell."""

from types import SimpleNamespace
from typing import get_args
from xml.etree import ElementTree

import pandas as pd
import pytest

from faithlens.errors import ConfigError
from faithlens.figures.hint_paths import LONGEST_CHAIN, HintAssay, list_hint_cells, plot_hint_paths
from faithlens.report.cell_chart import draw_cells
from faithlens.report.subjects import read_tables
from faithlens.tasks.kinds import HINT_PATHS, SAYINGS
from tests.conftest import call_unchecked

WHO = {"model": "m", "task": "t"}
SHARES = {"said_through": 0.5, "unsaid_through": 0.2, "unsaid_around": 0.3, "said_around": 0.0}
CHAIN = "First <b>5</b>. " * 100 + "So 9."


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    estimates = [
        WHO | {"measure": f"hint_mediation.{cell}", "value": share, "low": 0.0, "high": 0.9, "n_used": 7}
        for cell, share in SHARES.items()
    ]
    for cell in ("denied_through", "denied_around"):
        estimates.append(
            WHO | {"measure": f"hint_mediation.{cell}", "value": None, "low": None, "high": None, "n_used": 0}
        )
    scores = [
        WHO | {"question": "q1", "sample": None, "condition": "hint_metadata@B", "value": value, "measure": name}
        for name, value in (("hint_mediation.unsaid_through", 1.0), ("hint_mediation.said_through", 0.0))
    ]
    drafts = [
        WHO | {"question": "q1", "sample": 0, "name": name, "text": text}
        for name, text in (("chain", "Another."), ("hint_metadata@B", CHAIN))
    ]
    return pd.DataFrame(estimates), pd.DataFrame(scores), pd.DataFrame(drafts)


def test_cells_have_shares_and_an_example_with_its_chain() -> None:
    cells = {cell.measure: cell for cell in list_hint_cells(*make_tables())}
    assert list(cells) == [f"{saying}_{path}" for saying in SAYINGS for path in HINT_PATHS]
    assert {name: cells[name].value for name in SHARES} == SHARES
    assert (cells["denied_through"].value, cells["denied_through"].n) == (None, 0)
    example = cells["unsaid_through"]
    assert (example.question, example.sample, example.condition) == ("q1", 0, "hint_metadata@B")
    assert example.chain == CHAIN
    assert cells["said_through"].question is None  # its only score is 0


def test_the_figure_shows_the_shares_and_the_words_of_the_example() -> None:
    figure = plot_hint_paths(*make_tables())
    assert [list(row) for row in figure.data[0].z] == [[0.5, 0.0], [None, None], [0.2, 0.3]]
    assert list(figure.data[0].x) == list(HINT_PATHS.values())
    hover = figure.data[0].customdata[2][0]
    assert hover.startswith("example: q1<br>…")
    assert "&lt;b&gt;" in hover
    assert "So 9." in hover
    assert figure.data[0].customdata[0][0] == "no example"
    with pytest.raises(ConfigError, match=r"hold no cells of bias_mediation(?s:.*)--assays bias_mediation\."):
        plot_hint_paths(*make_tables(), assay="bias_mediation")


def test_hints_at_a_value_have_the_same_cells() -> None:
    estimates, scores, _ = make_tables()
    for table in (estimates, scores):
        table["measure"] = table["measure"].str.replace("hint_mediation", "value_hints")
    figure = plot_hint_paths(estimates, scores, assay="value_hints")
    assert [list(row) for row in figure.data[0].z] == [[0.5, 0.0], [None, None], [0.2, 0.3]]
    assert figure.data[0].customdata[2][0] == "example: q1"


def test_the_report_draws_a_cell_each_with_a_link_to_its_example() -> None:
    cells = list_hint_cells(*make_tables())
    root = ElementTree.fromstring(draw_cells(cells, "hint_mediation", "title & more", {("q1", 0): 12}))
    marks = [each for each in root.iter("g") if each.attrib.get("role") == "img"]
    assert [mark.attrib["data-measure"] for mark in marks] == [f"hint_mediation.{cell.measure}" for cell in cells]
    [link] = root.iter("a")
    assert link.attrib["href"] == "#q12"
    label = link[0].attrib["aria-label"]
    assert label.startswith(
        "not named, through the chain: 0.20; 95 % interval 0.00 to 0.90; 7 questions. For example q1: "
    )
    assert label.endswith("So 9.")
    assert len(label) < LONGEST_CHAIN + 120
    shades = [float(mark[0].attrib["fill-opacity"]) for mark in marks]
    assert shades[0] == max(shades)
    assert draw_cells([], "hint_mediation", "nothing") == ""


@pytest.mark.parametrize("assay", get_args(HintAssay))
def test_a_report_reads_the_chains_under_hints_of_each_assay(assay: str) -> None:
    _, scores, drafts = make_tables()
    scores = scores.assign(measure=scores["measure"].str.replace("hint_mediation", assay))
    tables = {"scores": scores, "drafts": drafts}
    run = SimpleNamespace(has_table=tables.__contains__, read=tables.__getitem__, drafts=drafts, files={})
    texts = call_unchecked(read_tables, run)["drafts"]
    assert set(texts["name"]) == set(drafts["name"]) & set(scores["condition"])
    assert texts["text"].tolist() == [CHAIN]
