from html.parser import HTMLParser

import pytest

from faithlens.errors import RunError
from faithlens.report.page import write_page
from faithlens.store import Run, make_manifest


class Reader(HTMLParser):
    """Collects tags, what they load, and the text a reader sees."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.loads, self.text, self.inside = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = tag
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def html(finished_run):
    return write_page(finished_run).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(html):
    assert Reader(html).loads == []
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_plotly_is_there_once(html):
    assert html.count("plotly.js v") == 1
    assert html.count("Plotly.newPlot(") - html.count('"Plotly.newPlot(') >= 5


def test_strategies_are_drawn_where_they_were_measured(html):
    assert html.count('id="figure-strategies"') == 1
    assert "Ways to reason" in html


def test_what_a_model_wrote_stays_text(html):
    assert "<script>alert(" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>chat</b>" not in html


def test_verdicts_come_first_and_planted_truth_before_real_models(html):
    text = " ".join(" ".join(Reader(html).text).split())
    order = [
        "Models whose truth is known",
        "O5 scratchpad",
        "O4 null",
        "Real models",
        "tiny <b>chat</b> model",
        "The numbers",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    for words in ("trust", "do not trust", "undecided", "a capability result, not a faithfulness result", "Planted:"):
        assert words in text


def test_numbers_carry_interval_and_counts(html, run):
    estimates = run.read("estimates")
    row = estimates[(estimates["measure"] == "knockout.steps") & (estimates["model"] == "O5 scratchpad")].iloc[0]
    text = " ".join(" ".join(Reader(html).text).split())
    assert f"{row['value']:.2f} {row['low']:.2f} to {row['high']:.2f} 40 used" in text
    assert "the prompt is too short" in text


def test_every_figure_is_drawn(html):
    for name in ("grid", "early", "mistakes", "mediation", "attention"):
        assert f'id="figure-{name}"' in html


def test_the_page_is_a_function_of_the_folder(run):
    first = write_page(run).read_bytes()
    assert write_page(Run.open(run.path)).read_bytes() == first


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"verdict\.json"):
        write_page(Run.create(tmp_path / "new", make_manifest({}, 0, "cpu")))
