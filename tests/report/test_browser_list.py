"""The list of chains in a real browser: what it shows, filters, sorts, searches, and what opening a page takes."""

from pathlib import Path
from typing import Any

from faithlens.report.page import make_page
from faithlens.report.subjects import read_subjects
from tests.report.browser_pages import (
    N_LINES,
    count_lines,
    find_number,
    needs_chromium,
    open_chain,
    open_page,
    wait_until,
)
from tests.report.large_run import make_large_run
from tests.report.reading import read_index

pytestmark = needs_chromium


def test_every_chain_is_listed_and_one_is_shown(page: Any) -> None:
    wait_until(page, N_LINES, 150)
    assert page.locator("#count").inner_text() == "150"
    page.wait_for_selector("#chain h3")
    assert page.locator("#chain .chip.fail").first.is_visible()


def test_filters_by_gate_outcome_cell_answer_and_model(page: Any, page_file: Path) -> None:
    index = read_index(page_file.read_text(encoding="utf-8"))
    chains = index["chains"]
    at = index["gates"].index("causal")
    causal = [gates[at] for gates in chains["gates"]]
    for letter, outcome in (("f", "fail"), ("p", "pass")):
        page.select_option("#by-outcome", letter)
        assert count_lines(page) == chains["outcome"].count(outcome)
        page.select_option("#by-gate", "causal")
        assert count_lines(page) == causal.count(letter)
        page.select_option("#by-gate", "")
    page.click("#filters button[type=reset]")
    wait_until(page, N_LINES, 150)
    page.select_option("#by-cell", "decorative")
    assert count_lines(page) == chains["cell"].count("decorative")
    page.select_option("#by-cell", "")
    page.select_option("#by-subject", "0")
    assert count_lines(page) == chains["subject"].count(0)
    page.select_option("#by-answer", "wrong")
    answers = [answer for answer, s in zip(chains["answer"], chains["subject"], strict=True) if s == 0]
    assert count_lines(page) == answers.count("wrong")


def test_a_question_without_a_known_answer_is_neither_right_nor_wrong(page: Any, page_file: Path) -> None:
    chains = read_index(page_file.read_text(encoding="utf-8"))["chains"]
    [number] = [i + 1 for i, answer in enumerate(chains["answer"]) if answer == "unknown"]
    options = page.locator("#by-answer option").all_inner_texts()
    assert options == ["any", "answer right", "answer wrong", "right answer not known"]
    page.select_option("#by-answer", "unknown")
    wait_until(page, N_LINES, 1)
    assert page.locator("#list a").get_attribute("href") == f"#q{number}"
    assert "right answer not known" in page.locator("#list a").text_content()
    open_chain(page, number)
    assert page.locator("#chain .answers").inner_text() == "Answer: B; the right answer is not known."
    page.select_option("#by-answer", "wrong")
    wait_until(page, N_LINES, chains["answer"].count("wrong"))
    open_chain(page, number + 1)
    assert page.locator("#chain .answers").inner_text() == "Answer: B; right answer: A."


def test_sorting(page: Any, page_file: Path) -> None:
    chains = read_index(page_file.read_text(encoding="utf-8"))["chains"]
    orders = {
        "effect": lambda i: -abs(chains["effect"][i] or 0),
        "steps": lambda i: -chains["steps"][i],
        "outcome": lambda i: ("fail", "open", "pass").index(chains["outcome"][i]),
        "": lambda i: i,
    }
    for order, key in orders.items():
        page.select_option("#sort", order)
        expected = [f"#q{i + 1}" for i in sorted(range(len(chains["effect"])), key=key)]
        assert page.locator("#list a").evaluate_all("links => links.map((link) => link.hash)") == expected


def test_opening_a_page_draws_a_screen_of_lines_and_unpacks_one_chunk_of_chains(browser: Any, tmp_path: Path) -> None:
    """What keeps a page on many chains fast; `python -m benchmarks.page_opening` measures the seconds."""
    file = tmp_path / "page.html"
    file.write_text(make_page(read_subjects(make_large_run(tmp_path / "run", 1000))), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for opened in open_page(context, file):
        opened.wait_for_selector("#chain h3")
        assert opened.evaluate("() => chains.length") == 1000
        assert count_lines(opened) == 300
        assert opened.evaluate("() => packed.length") > 1
        assert opened.evaluate("() => unpacked.filter(Boolean).length") == 1
    context.close()


def test_search_reads_every_chain(page: Any, page_file: Path) -> None:
    number = find_number(page_file, "large", 1)
    page.fill("#search", "\u05e9\u05dc\u05d5\u05dd")
    wait_until(page, N_LINES, 1)
    assert page.locator("#list a").get_attribute("href") == f"#q{number}"
    page.fill("#search", "no chain says this")
    wait_until(page, N_LINES, 0)
    assert page.locator("#count").inner_text() == "0 of 150"
    assert page.locator("#none").inner_text() == "No chain passes these filters."
    page.fill("#search", "")
    wait_until(page, N_LINES, 150)
    assert not page.locator("#none").is_visible()


def test_a_gate_leads_to_the_chains_that_fail_it(page: Any, page_file: Path) -> None:
    index = read_index(page_file.read_text(encoding="utf-8"))
    subject, at = index["subjects"].index("O4 null"), index["gates"].index("causal")
    chains = index["chains"]
    failing = [g for g, s in zip(chains["gates"], chains["subject"], strict=True) if s == subject and g[at] == "f"]
    page.locator(f"#subject-{subject} .gates a", has_text="causal").click()
    wait_until(page, N_LINES, len(failing))
    assert len(failing) == 40
