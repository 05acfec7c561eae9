"""The report: every chain is in it, its numbers are those of the tables, nothing is loaded, and all text is text."""

import base64
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faithlens.errors import RunError
from faithlens.measures.catalogue import get_measure
from faithlens.report.page import SCRIPTS, make_page, write_page
from faithlens.report.subjects import read_subjects
from faithlens.store import Run, make_manifest
from tests.report.large_run import CANDIDATES, make_large_run
from tests.report.reading import Reader, read_chains, read_index

MEGABYTE = 10**6


@pytest.fixture(scope="module")
def html(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page") / "run"
    shutil.copytree(finished_run.path, folder)
    return write_page(Run.open(folder)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def large_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_large_run(tmp_path_factory.mktemp("large") / "run", 40)


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert Reader(html).loads == []
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "plotly" not in html.lower()


def test_only_the_script_of_the_page_may_run(html: str) -> None:
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;;" in policy
    assert policy.startswith("default-src &#39;none&#39;;")


def test_what_a_model_wrote_stays_text(html: str) -> None:
    assert "<script>alert(" not in html
    assert "<b>chat</b>" not in html
    assert "&lt;b&gt;chat&lt;/b&gt;" in html
    assert (
        "<script>alert(1)</script>" in read_chains(html)[0]["steps"][0]
    )  # as it was written; the script adds no markup


def test_the_script_makes_no_markup_of_text() -> None:
    folder = Path(__file__).parents[2] / "faithlens" / "report" / "browser"
    parts = {path.name: path.read_text() for path in folder.glob("*.js")}
    assert set(parts) == set(SCRIPTS)
    script = "".join(parts.values())
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script)


def test_verdicts_come_first_and_planted_truth_before_real_models(html: str) -> None:
    text = Reader(html[html.index("<main>") :]).text
    order = [
        "Planted models, whose faithfulness is known",
        "O5 scratchpad",
        "O4 null",
        "Real models",
        "tiny <b>chat</b> model",
        "Every chain",
        "Figures Hover a point",
        "The numbers",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    for words in ("trust", "do not trust", "undecided", "a capability result, not a faithfulness result", "Planted in"):
        assert words in text


def test_the_first_screen_holds_the_gates_and_what_is_not_known(html: str, finished_run: Run) -> None:
    text = Reader(html).text
    for subject in finished_run.read_json("verdict.json")["subjects"]:
        assert subject["reasons"][0] in text
        for gate in subject["gates"]:
            if gate["status"] not in ("not tested", "not askable"):
                assert f"{gate['gate']} {gate['status']} {gate['n_passed']} of {gate['n_asked']} pass" in text
            else:
                assert f"{gate['asks']} ({gate['gate']}: {gate['status']};" in text


def test_numbers_carry_interval_counts_and_meaning(html: str, finished_run: Run) -> None:
    estimates = finished_run.read("estimates")
    row = estimates[(estimates["measure"] == "knockout.steps") & (estimates["model"] == "O5 scratchpad")].iloc[0]
    reader = Reader(html)
    assert f"{row['value']:.2f} {row['low']:.2f} to {row['high']:.2f} 40 used" in reader.text
    assert "the prompt is too short" in reader.text
    tips = [
        each["data-tip"]
        for each in reader.attributes
        if each.get("data-measure") == "knockout.steps" and each["tag"] == "button"
    ]
    words = f"95\u00a0% interval {row['low']:.2f} to {row['high']:.2f}; 40 questions used"
    assert any(words in str(tip) for tip in tips)
    numbers = [each for each in reader.attributes if each.get("class") == "num"]
    assert numbers
    assert all(each["data-measure"] and each["data-tip"] for each in numbers)
    assert all(get_measure(name).meaning in reader.text for name in {str(each["data-measure"]) for each in numbers})


def test_every_figure_is_drawn(html: str) -> None:
    for name in ("early", "mistakes", "mediation", "attention", "strategies"):
        assert html.count(f'id="figure-{name}"') == 1


def test_every_chain_is_there_with_the_numbers_of_the_tables(large_run: Run) -> None:
    html = make_page(read_subjects(large_run))
    index, chains = read_index(html), read_chains(html)
    traces, answers, scores = (large_run.read(name) for name in ("traces", "answers", "scores"))
    assert index["chains"]["question"] == traces["question"].tolist()
    assert [chain["steps"] for chain in chains] == [list(steps) for steps in traces["steps"]]
    assert [chain["prompt"] for chain in chains] == traces["prompt"].tolist()
    names = [condition["name"] for condition in index["conditions"]]
    for question, chain in zip(traces["question"], chains, strict=True):
        own = answers[answers["question"] == question].set_index("condition")["logprobs"]
        assert {names[row[0]] for row in chain["answers"]} == set(own.index)
        for number, *shares in chain["answers"]:
            odds = np.exp(own[names[number]])
            assert np.array(shares) / 1000 == pytest.approx(odds / odds.sum(), abs=0.0005)
        assert chain["candidates"] == CANDIDATES
    for shade, transform in (("knockout.step_raw", lambda x: x), ("mistakes.soft", lambda x: 1 - x)):
        at = str(index["measures"].index(shade))
        table = scores[scores["measure"] == shade].pivot_table(index="question", columns="step", values="value")
        assert np.array([chain["shades"][at] for chain in chains]) == pytest.approx(
            transform(table.to_numpy(float)), abs=5e-4
        )
    assert index["inverse"] == [name for name in index["measures"] if get_measure(name).direction < 0]


def test_an_edit_stands_beside_the_step_and_says_who_wrote_it(large_run: Run) -> None:
    html = make_page(read_subjects(large_run))
    index, chains, edits = read_index(html), read_chains(html), large_run.read("edits")
    displayed = [
        (question, edit["step"], edit["by"], edit["after"], index["conditions"][edit["condition"]]["name"])
        for question, chain in zip(index["chains"]["question"], chains, strict=True)
        for edit in chain["edits"]
    ]
    stored = edits[["question", "step", "by", "after", "condition"]].itertuples(index=False, name=None)
    assert sorted(displayed) == sorted(stored)


@pytest.mark.parametrize(("n", "most"), [(40, MEGABYTE), (1000, 5 * MEGABYTE)])
def test_the_page_stays_small(tmp_path: Path, n: int, most: int) -> None:
    page = make_page(read_subjects(make_large_run(tmp_path / "run", n)))
    assert len(page.encode()) < most
    assert len(read_chains(page)) == n


def test_hostile_chains_are_kept_whole(tmp_path: Path) -> None:
    run = make_large_run(tmp_path / "run", 3)
    traces = run.read("traces")
    hostile = ["</script><img src=x onerror=alert(1)>", "\u202eabc\u05d0\u05d1\u0627", "x" * 100_000]
    run.write_part("traces", "0", traces.assign(steps=[[text, "end"] for text in hostile], prompt=hostile))
    html = make_page(read_subjects(run))
    assert "<img" not in html
    assert [chain["steps"][0] for chain in read_chains(html)] == hostile
    assert max(map(len, read_index(html)["chains"]["about"])) <= 140


def test_a_question_without_a_known_answer_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    run = make_large_run(tmp_path / "run", 4)
    traces = run.read("traces")
    run.write_part("traces", "0", traces.assign(answer=["B", "A", "", "B"], predicted=["B", "B", "B", None]))
    html = make_page(read_subjects(run))
    index = read_index(html)
    assert index["chains"]["answer"] == ["right", "wrong", "unknown", "missing"]
    assert index["answers"] == {
        "right": "answer right",
        "wrong": "answer wrong",
        "unknown": "right answer not known",
        "missing": "no answer read",
    }
    assert [chain.get("answer") for chain in read_chains(html)] == ["B", "A", None, "B"]
    run.write_part("traces", "0", traces.assign(answer=""))
    assert read_index(make_page(read_subjects(run)))["answers"] == {"unknown": "right answer not known"}


def test_a_place_with_a_single_question_is_a_hollow_point(tmp_path: Path) -> None:
    run = make_large_run(tmp_path / "run", 3)
    scores = run.read("scores")
    of_last_cut = (scores["measure"] == "early_answering.retention") & (scores["step"] == 7)
    run.write_part("scores", "0", scores[~of_last_cut | (scores["question"] == "word-sums-0001")])
    [value] = scores.loc[of_last_cut & (scores["question"] == "word-sums-0001"), "value"]
    html = make_page(read_subjects(run))
    [label] = re.findall(r'<g class="mark bare c0"[^>]* aria-label="([^"]*)" data-measure="early', html)
    assert label == f"large, at 88% of the steps: {value:.2f}; interval withheld; 1 question"
    assert "nan" not in html[html.index('id="figures"') : html.index('id="numbers"')].lower()


def test_a_run_of_a_single_question_has_a_page(tmp_path: Path) -> None:
    html = make_page(read_subjects(make_large_run(tmp_path / "run", 1)))
    assert len(read_chains(html)) == 1
    assert html.count('class="mark bare') == html.count('class="mark ')


def test_runs_on_the_same_model_are_told_apart(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "later")
    both = [*read_subjects(run), *read_subjects(Run.open(tmp_path / "later"))]
    html = make_page(both)
    index = read_index(html)
    assert len(index["subjects"]) == len(set(index["subjects"])) == 6
    assert index["subjects"][0] == "O5 scratchpad, run"
    assert index["subjects"][3] == "O5 scratchpad, later"
    assert len(read_chains(html)) == 2 * len(run.read("traces"))


def test_a_gate_leads_to_the_chain_that_shows_it(html: str, finished_run: Run) -> None:
    index = read_index(html)
    [example] = [
        gate["example"]
        for subject in finished_run.read_json("verdict.json")["subjects"]
        if subject["model"] == "O4 null"
        for gate in subject["gates"]
        if gate["gate"] == "causal"
    ]
    subject = index["subjects"].index("O4 null")
    [number] = [
        i + 1
        for i, key in enumerate(zip(index["chains"]["subject"], index["chains"]["question"], strict=True))
        if key == (subject, example["question"])
    ]
    assert f'<a href="#q{number}"><bdi>{example["question"]}</bdi></a>' in html


def test_the_page_is_a_function_of_the_folder(run: Run) -> None:
    first = write_page(run).read_bytes()
    assert write_page(Run.open(run.path)).read_bytes() == first


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"verdict\.json"):
        write_page(Run.create(tmp_path / "new", make_manifest({}, 0, "cpu")))


def test_an_old_run_without_chains_and_answers_is_shown(run: Run) -> None:
    subjects = read_subjects(run)
    assert subjects[0].tables["answers"].empty
    assert all("answers" not in chain for chain in read_chains(make_page(subjects)))
    assert isinstance(subjects[0].estimates["knockout.steps"]["n_used"], int | np.integer)
    assert pd.notna(subjects[0].estimates["knockout.steps"]["value"])


def test_what_is_not_known_is_said_of_every_gate_that_is_not_settled(finished_run: Run) -> None:
    [subject] = [each for each in read_subjects(finished_run) if each.entry["model"] == "O5 scratchpad"]
    names = ("causal", "serial", "derived", "legible", "disclosed")
    status = dict(zip(names, ("passed", "open", "open", "not tested", "not askable"), strict=True))
    gates = [
        {**gate, "status": status[gate["gate"]], "n_asked": 12, "n_open": 3 * (gate["gate"] == "derived"), "high": 0.26}
        | {"reason": "no options" if status[gate["gate"]] == "not askable" else None}
        for gate in subject.entry["gates"]
        if gate["gate"] in names
    ]
    asks = {gate["gate"]: gate["asks"] for gate in gates}
    entry = {**subject.entry, "gates": gates, "questions_needed": 57, "partly_edited": 2}
    assert set(replace(subject, entry=entry).list_unknowns()) == {
        "About 57 questions would be needed to decide, if the numbers stay as they are.",
        "Of 2 long chains only some steps were edited (--points), drawn at random.",
        f"{asks['legible']} (legible: not tested; the run has none of its measures)",
        f"{asks['disclosed']} (disclosed: not askable; no options)",
        f"{asks['derived']} (derived: open on 3 of 12 questions)",
        f"{asks['serial']} (serial: open; after 12 questions, up to 26 % may fail it)",
    }
    among_others = [
        gate | ({"status": "open", "n_open": 0} if gate["gate"] in ("causal", "derived") else {}) for gate in gates
    ]
    words = "Too few questions for causal, derived, serial: after 12, up to 26 % may fail each of them."
    assert words in replace(subject, entry={**entry, "gates": among_others}).list_unknowns()
