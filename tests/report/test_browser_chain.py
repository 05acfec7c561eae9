"""One chain in a real browser: links, keys, late texts, probabilities, and texts that mean harm."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.browser_pages import HOSTILE, find_number, needs_chromium, open_chain, open_page, wait_until

pytestmark = needs_chromium


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
