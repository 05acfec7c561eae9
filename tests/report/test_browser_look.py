"""The page in a real browser: print, explanations of numbers and points, and accessibility."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.browser_pages import find_number, needs_chromium, open_page

pytestmark = needs_chromium
WIDTHS = (400, 1280, 3840)


def test_print_shows_the_verdicts_and_the_open_chain_without_controls(browser: Any, page_file: Path) -> None:
    number = find_number(page_file, "large", 4)
    context = browser.new_context(viewport={"width": 800, "height": 1100}, color_scheme="dark")
    for opened in open_page(context, page_file, f"#q{number}/step3"):
        opened.wait_for_selector("#step")
        opened.emulate_media(media="print")
        for part in (
            "h1",
            "#verdicts .card",
            "#verdicts details li",
            "#chain h3",
            "#step .sides",
            "#figure-early",
            "#numbers table",
        ):
            assert opened.locator(part).first.is_visible(), part
        for control in ("nav", "#filters", "#list", "#scheme", "#chain .tools"):
            assert opened.locator(control).first.is_hidden(), control
        assert (
            opened.evaluate("() => getComputedStyle(document.body).color") == "rgb(28, 36, 48)"
        )  # of the light scheme
        tables = "() => [...document.querySelectorAll('.scroll')].filter((each) => each.checkVisibility())"
        assert opened.evaluate(f"{tables}.every((each) => each.scrollWidth <= document.body.clientWidth)")
    for opened in open_page(context, page_file):  # no chain is open where there is no room for it beside the list
        assert opened.locator("#chains h2").is_visible()
        opened.emulate_media(media="print")
        assert opened.locator("#chains h2").is_hidden()
    context.close()


def test_a_number_explains_itself_on_hover_and_on_focus(page: Any) -> None:
    number = page.locator('.num[data-measure="accuracy.full"]').first
    number.hover()
    tip = page.locator("#tip")
    assert "95\u00a0% interval" in tip.inner_text()
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
