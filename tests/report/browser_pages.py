"""Pages of the report in a real browser, for tests. They need a Chromium and the extra ``browser``; skipped without."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from faithlens.report.page import make_page
from faithlens.report.subjects import read_subjects
from faithlens.store import Run
from tests.report.large_run import make_large_run
from tests.report.reading import read_index

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

HOSTILE = [
    "</script><img src=x onerror=alert(1)><b>bold</b>",
    "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 abc",
    "x" * 100_000,
]
N_LINES = "() => document.querySelectorAll('#list li').length"


def open_browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def write_page(finished: Run, folder: Path) -> Path:
    """A page on three models of one run and on a run with answers, edits and hostile texts."""
    run = make_large_run(folder / "run", 30)
    traces = run.read("traces")
    steps = [[f" {text}", *own[1:]] for text, own in zip(HOSTILE, traces["steps"], strict=False)]
    changed = [*steps, *traces["steps"][len(steps) :]]
    prompts = [*HOSTILE, *traces["prompt"][len(HOSTILE) :]]
    answers = ["", "A", *traces["answer"][2:]]
    run.write_part("traces", "0", traces.assign(steps=changed, prompt=prompts, answer=answers))
    file = folder / "page.html"
    file.write_text(make_page([*read_subjects(finished), *read_subjects(run)]), encoding="utf-8")
    return file


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
