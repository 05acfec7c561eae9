"""How long does the page of a report take to open? Chromium, a page on 40 chains and one on 1,000.

``python -m benchmarks.page_opening`` prints, for each number of chains, the size of the page and the least of
`ROUNDS` times from the start of loading until the first chain is shown. Needs a Chromium and the extra ``browser``.
"""

import tempfile
from pathlib import Path

from faithlens.report.page import make_page
from faithlens.report.subjects import read_subjects
from tests.report.browser_pages import open_browser, open_page
from tests.report.large_run import make_large_run

SIZES, ROUNDS = (40, 1000), 3


def time_opening(folder: Path, n: int) -> tuple[int, float]:
    """The bytes of a page on `n` chains, and the seconds until it shows one."""
    file = folder / f"{n}.html"
    file.write_text(make_page(read_subjects(make_large_run(folder / str(n), n))), encoding="utf-8")
    seconds: list[float] = []
    for browser in open_browser():
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        for _ in range(ROUNDS):
            for page in open_page(context, file):
                page.wait_for_selector("#chain h3")
                seconds.append(page.evaluate("() => performance.now()") / 1000)
                page.close()
    return file.stat().st_size, min(seconds)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for n in SIZES:
            size, seconds = time_opening(Path(made), n)
            print(f"{n:>5} chains, {size / 2**20:.1f} MiB: {seconds:.2f} s")
