"""A page that a server serves, in a real browser: it grows with its run, and says when the server has stopped."""

import threading
from pathlib import Path
from typing import Any

from faithlens.commands.view_server import ViewServer
from faithlens.store import Run, make_manifest
from tests.report.browser_pages import N_LINES, needs_chromium, open_chain, wait_until
from tests.report.large_run import MODEL, TASK, make_large_run

pytestmark = needs_chromium


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
        opened.locator("#step").wait_for()  # it is opened after the click, and scrolled to then
        question = opened.locator("#chain h3 bdi").inner_text()
        opened.evaluate("() => scrollTo({ top: 900, behavior: 'instant' })")
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
