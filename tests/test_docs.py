"""Pages that are made for the site: every measure has its place, numbers are those of the results, links lead on."""

import importlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import mannwhitneyu

import faithlens as fl
from faithlens.measures.catalogue import ASSAYS, MEASURES

ROOT = Path(__file__).parent.parent
GENERATE = ROOT / "docs" / "generate"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def list_navigation(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else []
    return [page for part in parts for page in list_navigation(part)]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a module that makes pages from its folder, as mkdocs does."""
    monkeypatch.syspath_prepend(GENERATE)
    return importlib.import_module


def test_every_page_is_in_the_navigation() -> None:
    pages = [page for page in list_navigation(SITE["nav"]) if page != "generated" and not page.startswith("project/")]
    assert Counter(pages) == Counter(path.name for path in (ROOT / "docs").glob("*.md"))


def test_every_measure_stands_on_one_page(load: Callable[[str], ModuleType]) -> None:
    make = load("measure_pages")
    pages = make.group_measures()
    assert sorted(m.name for measures in pages.values() for m in measures) == sorted(MEASURES)
    assert set(pages) == {*ASSAYS, *make.OTHER}
    assert "hints.silent.alpha" in {m.name for m in pages["hints"]}  # computed from means, and so of no assay


def test_a_page_says_what_the_catalogue_the_picture_and_the_results_say(load: Callable[[str], ModuleType]) -> None:
    name = "filler.dots.change"
    page = load("measure_pages").write_page("filler", [MEASURES[name]])
    assert MEASURES[name].meaning in page
    assert f"| source | {MEASURES[name].paper} |" in page
    assert 'aria-label="filler instead: question as it was, step 1 filler' in page
    scores = pd.read_parquet(ROOT / "notebooks" / "data" / "which-measures-work" / "scores.parquet")
    scores = scores[scores["measure"] == name]
    values = scores.groupby(scores["model"].str.partition("@")[0])["value"].apply(list)
    follows, other = ("O5", "O6", "O11", "O13", "E1"), ("O3", "O4", "O10", "E2")
    pairs = [(values[a], values[b]) for a in follows for b in other]
    areas = [mannwhitneyu(*pair).statistic / len(pair[0]) / len(pair[1]) for pair in pairs]
    assert f"AUROC {np.mean(areas):.2f} [" in page
    assert set(re.findall(r"It fails on \*\*(\w+)\*\*", page)) >= {"O3", "O10"}  # they need steps that say nothing
    cost = re.search(r"(\d+) versions in (\d+) packed rows, where the chain alone takes (\d+)", page)
    assert cost is not None
    n, rows, alone = map(int, cost.groups())
    assert n > 2
    assert alone < rows < n * alone  # shared beginnings are computed once


def test_public_names_of_the_reference_exist(load: Callable[[str], ModuleType]) -> None:
    reference_pages = load("reference_pages")
    for room in reference_pages.ROOMS:
        place = fl if room == "faithlens" else getattr(fl, room.rpartition(".")[2])
        rooms = {"assays", "effects", "figures", "interventions", "measures", "stats", "tasks"}
        assert set(reference_pages.list_public_names(room)) == set(place.__all__) - rooms


def test_links_of_the_repository_become_links_of_the_site(load: Callable[[str], ModuleType]) -> None:
    links = load("links")
    text = "[a](../benchmarks/README.md#on-a-gpu) [b](audit.md) [c](https://x.org/y)\n```\n[d](../LOG.md)\n```"
    assert links.rewrite_links(text, "gpu.md") == text.replace("../benchmarks/README.md", "project/benchmarks.md")
    assert links.rewrite_links("[a](docs/audit.md), [b](LICENSE)", "project/design.md") == "[a](../audit.md), b"
    assert links.rewrite_links("[b](bias.md)", "measure-pages/index.md") == "[b](bias.md)"


def test_a_page_that_needs_the_network_is_found(load: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs")
    hooks = load("hooks")
    harmless = '<a href="https://x.org">a link</a><link href="https://x.org/a" rel="canonical"><script src="a.js">'
    assert hooks.find_remote(harmless) is None
    script = '<script defer src="https://unpkg.com/a">'
    assert hooks.find_remote(harmless + script) == script
    assert hooks.find_remote("<img alt=x src=http://x.org/a.png>") is not None


def test_search_works_on_a_page_that_was_opened_as_a_file(tmp_path: Path) -> None:
    """A worker that imports a script answers from a hidden frame, also what was sent before it was loaded."""
    from tests.report.browser_pages import CHROMIUM, open_browser

    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    files = {
        "twice.js": "const twice = (x) => 2 * x;",
        "worker.js": "const ready = importScripts('twice.js');"
        "addEventListener('message', async (event) => { await ready; postMessage(twice(event.data)); });",
        "page.html": "<script src='shim.js'></script><body><script>const got = [], worker = new Worker('worker.js');"
        "worker.addEventListener('message', (event) => got.push(event.data));"
        "worker.postMessage(21); worker.postMessage(4);</script></body>",
        "shim.js": (ROOT / "docs" / "search_from_file.js").read_text(encoding="utf-8"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for browser in open_browser():
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        for _ in range(100):
            if len(page.evaluate("() => got")) == 2:
                break
            page.wait_for_timeout(25)
        assert page.evaluate("() => got") == [42, 8]
