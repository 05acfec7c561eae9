"""The report in a real browser: errors, the list and its filters, search, links, keys, print, and accessibility.

Needs a Chromium of the system and the extra ``browser``; skipped without them.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from faithlens.commands.view_server import ViewServer
from faithlens.report.page import make_page
from faithlens.report.subjects import read_subjects
from faithlens.store import Run, make_manifest
from tests.report.large_run import MODEL, TASK, make_large_run
from tests.report.reading import read_index

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

HOSTILE = [
    "</script><img src=x onerror=alert(1)><b>bold</b>",
    "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 abc",
    "x" * 100_000,
]
WIDTHS = (400, 1280, 3840)
N_LINES = "() => document.querySelectorAll('#list li').length"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on three models of one run and on a run with answers, edits and hostile texts."""
    folder = tmp_path_factory.mktemp("browser")
    run = make_large_run(folder / "run", 30)
    traces = run.read("traces")
    steps = [[f" {text}", *own[1:]] for text, own in zip(HOSTILE, traces["steps"], strict=False)]
    changed = [*steps, *traces["steps"][len(steps) :]]
    prompts = [*HOSTILE, *traces["prompt"][len(HOSTILE) :]]
    answers = ["", "A", *traces["answer"][2:]]
    run.write_part("traces", "0", traces.assign(steps=changed, prompt=prompts, answer=answers))
    file = folder / "page.html"
    file.write_text(make_page([*read_subjects(finished_run), *read_subjects(run)]), encoding="utf-8")
    return file


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield from open_page(context, page_file)
    context.close()


def open_page(context: Any, file: Path, address: str = "") -> Iterator[Any]:
    """A page of `file`; at the end there must have been no error, no dialog and no request but for the file."""
    opened = context.new_page()
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
    opened.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
    opened.goto(file.as_uri() + address)
    yield opened
    assert faults == []


def wait_until(page: Any, function: str, value: Any) -> None:
    """Wait until the script `function` gives `value`; `wait_for_function` would be stopped by the page's own policy."""
    for _ in range(400):
        with suppress(playwright.Error):  # the page loads itself again in between
            if page.evaluate(function) == value:
                return
        page.wait_for_timeout(25)
    raise AssertionError(f"{function} gives {page.evaluate(function)!r}, not {value!r}")


def open_chain(page: Any, number: int) -> None:
    page.evaluate("(number) => { location.hash = `#q${number}`; }", number)
    wait_until(page, "() => document.querySelector('#chain h3')?.textContent.split(' ')[0]", f"q{number}")


def count_lines(page: Any) -> int:
    return page.locator("#list li").count()


def find_number(page_file: Path, subject: str, place: int) -> int:
    """The number on the page of a chain of a subject, by its place among them."""
    index = read_index(page_file.read_text(encoding="utf-8"))
    numbers = [i + 1 for i, at in enumerate(index["chains"]["subject"]) if index["subjects"][at] == subject]
    return numbers[place]


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


@pytest.mark.parametrize("n", [40, 1000])
def test_the_page_opens_in_under_a_second(browser: Any, tmp_path: Path, n: int) -> None:
    file = tmp_path / "page.html"
    file.write_text(make_page(read_subjects(make_large_run(tmp_path / "run", n))), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    seconds: list[float] = []
    for _ in range(3):
        for opened in open_page(context, file):
            opened.wait_for_selector("#chain h3")
            seconds.append(opened.evaluate("() => performance.now()") / 1000)
            opened.close()
    context.close()
    assert min(seconds) < 1, seconds


def test_a_served_page_grows_with_its_run_and_says_that_the_server_stopped(browser: Any, tmp_path: Path) -> None:
    finished = make_large_run(tmp_path / "finished", 12)
    config = {"subjects": [{"model": MODEL, "task": TASK}], "n": 12}
    run = Run.create(tmp_path / "growing", make_manifest(config, 0, "cpu"))
    write_batch(run, finished, "0", 8, 12)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    with ViewServer([run.path]) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        opened.goto(server.address)
        wait_until(opened, N_LINES, 4)
        opened.select_option("#sort", "effect")
        open_chain(opened, 2)
        opened.click("#step-3")
        question = opened.locator("#chain h3 bdi").inner_text()
        opened.evaluate("() => scrollTo(0, 900)")
        write_batch(run, finished, "1", 0, 8)
        wait_until(opened, N_LINES, 12)
        assert opened.input_value("#sort") == "effect"
        wait_until(opened, "() => location.hash", "#q10/step3")  # the same chain: eight that come before it are new
        wait_until(opened, "() => document.querySelector('#chain h3')?.textContent.split(' ')[0]", "q10")
        assert opened.locator("#chain h3 bdi").inner_text() == question
        wait_until(opened, "() => scrollY", 900)
        run.path.rename(tmp_path / "moved")
        opened.get_by_text("The run cannot be read now").wait_for()
        (tmp_path / "moved").rename(run.path)
        opened.get_by_text("The run cannot be read now").wait_for(state="hidden")
        context.set_offline(True)  # as when the server is stopped: threads of this process would go on to answer
        opened.get_by_text("The server has stopped. This page stays as it is.").wait_for()
        server.shutdown()
        thread.join()
    context.close()


def write_batch(run: Run, finished: Run, key: str, start: int, end: int) -> None:
    """Write what `finished` holds of some questions, as an audit does it."""
    chosen = sorted(finished.read("traces")["question"])[start:end]
    for table in ("scores", "answers", "edits", "traces"):
        rows = finished.read(table)
        run.write_part(table, key, rows[rows["question"].isin(chosen)])


def test_print_shows_the_verdicts_and_the_open_chain_without_controls(browser: Any, page_file: Path) -> None:
    number = find_number(page_file, "large", 4)
    context = browser.new_context(viewport={"width": 800, "height": 1100}, color_scheme="dark")
    for opened in open_page(context, page_file, f"#q{number}/step3"):
        opened.wait_for_selector("#step")
        opened.emulate_media(media="print")
        for part in ("h1", "#verdicts .card", "#chain h3", "#step .sides", "#figure-early", "#numbers table"):
            assert opened.locator(part).first.is_visible(), part
        for control in ("nav", "#filters", "#list", "#scheme", "#chain .tools"):
            assert opened.locator(control).first.is_hidden(), control
        assert (
            opened.evaluate("() => getComputedStyle(document.body).color") == "rgb(28, 36, 48)"
        )  # of the light scheme
        tables = "() => [...document.querySelectorAll('.scroll')].filter((each) => each.checkVisibility())"
        assert opened.evaluate(f"{tables}.every((each) => each.scrollWidth <= document.body.clientWidth)")
    context.close()


def test_search_reads_every_chain(page: Any, page_file: Path) -> None:
    number = find_number(page_file, "large", 1)
    page.fill("#search", "\u05e9\u05dc\u05d5\u05dd")
    wait_until(page, N_LINES, 1)
    assert page.locator("#list a").get_attribute("href") == f"#q{number}"
    page.fill("#search", "no chain says this")
    wait_until(page, N_LINES, 0)
    assert page.locator("#count").inner_text() == "0 of 150"


def test_a_link_opens_a_chain_at_a_step(browser: Any, page_file: Path) -> None:
    number = find_number(page_file, "large", 4)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for opened in open_page(context, page_file, f"#q{number}/step3"):
        opened.wait_for_selector("#step")
        assert opened.locator("#step-3").get_attribute("aria-expanded") == "true"
        assert opened.locator("#step .sides").count() >= 2
        words = opened.locator("#step").inner_text()
        assert "Written by the task." in words
        assert "The chain as written: nothing is edited" in words
        assert opened.locator("#step-3").is_visible()
        opened.click("#step-5")
        wait_until(opened, "() => location.hash", f"#q{number}/step5")
        opened.go_back()
        wait_until(opened, "() => document.querySelector('#step-3').getAttribute('aria-expanded')", "true")
    context.close()


def test_a_chain_that_is_unpacked_late_leaves_the_open_one_alone(page: Any, page_file: Path) -> None:
    near, far = find_number(page_file, "large", 4), find_number(page_file, "large", -1)  # in different chunks
    open_chain(page, near)
    page.evaluate(
        """async ([near, far]) => {
          const followed = new Promise((done) => addEventListener("hashchange", done, { once: true }));
          location.hash = `#q${far}/step2`;
          await followed;
          location.hash = `#q${near}`;
          await readChain(chains[far - 1]);
          await new Promise((done) => setTimeout(done, 100));
        }""",
        [near, far],
    )
    assert page.locator("#chain h3").inner_text().startswith(f"q{near} ")
    assert page.locator("#step").count() == 0


def test_keys_move_between_chains_and_steps(page: Any) -> None:
    open_chain(page, 5)
    page.keyboard.press("j")
    wait_until(page, "() => location.hash", "#q6")
    page.keyboard.press("k")
    wait_until(page, "() => location.hash", "#q5")
    page.keyboard.press("ArrowRight")
    wait_until(page, "() => location.hash", "#q5/step1")
    page.keyboard.press("ArrowRight")
    wait_until(page, "() => location.hash", "#q5/step2")
    page.keyboard.press("ArrowLeft")
    wait_until(page, "() => location.hash", "#q5/step1")
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.id") == "search"
    page.keyboard.press("j")
    assert page.input_value("#search") == "j"


def test_a_gate_leads_to_the_chains_that_fail_it(page: Any, page_file: Path) -> None:
    index = read_index(page_file.read_text(encoding="utf-8"))
    subject, at = index["subjects"].index("O4 null"), index["gates"].index("causal")
    chains = index["chains"]
    failing = [g for g, s in zip(chains["gates"], chains["subject"], strict=True) if s == subject and g[at] == "f"]
    page.locator(f"#subject-{subject} .gates a", has_text="causal").click()
    wait_until(page, N_LINES, len(failing))
    assert len(failing) == 40


def test_a_number_explains_itself_on_hover_and_on_focus(page: Any) -> None:
    number = page.locator('.num[data-measure="accuracy.full"]').first
    number.hover()
    tip = page.locator("#tip")
    assert "95 % interval" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    number.focus()
    assert "40 questions used" in tip.inner_text()
    assert number.get_attribute("aria-describedby") == "tip"


def test_points_of_a_figure_are_reached_by_arrow_keys(page: Any) -> None:
    marks = page.locator("#figure-early .chart .mark")
    marks.first.focus()
    page.keyboard.press("ArrowRight")
    label = page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert label == marks.nth(1).get_attribute("aria-label")
    assert "95 % interval" in label
    assert label in page.locator("#tip").inner_text()


def test_probabilities_are_shown_for_every_condition(page: Any, page_file: Path) -> None:
    open_chain(page, find_number(page_file, "large", 6))
    groups = page.locator("#chain > details", has_text="Made wrong")
    groups.locator("summary").click()
    table = groups.locator("table")
    table.wait_for()
    assert table.locator("tbody tr").count() == 8
    for k in range(8):
        shares = [float(text) for text in table.locator("tbody tr").nth(k).locator("td").all_inner_texts()]
        assert sum(shares) == pytest.approx(1, abs=0.003)


def test_hostile_text_is_text(page: Any, page_file: Path) -> None:
    for place, words in enumerate(HOSTILE):
        open_chain(page, find_number(page_file, "large", place))
        assert page.locator("#step-1 .text").text_content() == words
        assert page.locator("#chain img, #chain b:text('bold')").count() == 0
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(browser: Any, page_file: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed"
    ).Axe()
    number = find_number(page_file, "large", 4)
    # the page forbids scripts of others, and axe is one
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    for opened in open_page(context, page_file, f"#q{number}/step3"):
        opened.wait_for_selector("#step")
        opened.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        opened.locator(".odds").nth(1).wait_for()
        assert opened.evaluate("() => document.documentElement.scrollWidth") <= width
        results = axe.run(opened)
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in results.response["violations"]] == []
    context.close()
