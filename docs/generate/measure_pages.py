"""The pages about measures, made from the catalogue: one page for each assay, one for bounds, one for the rest."""

from collections.abc import Iterator
from inspect import cleandoc

from costs import describe_cost
from planted import describe_detection
from schemes import draw_scheme

from faithlens.assays.battery import ASSAYS
from faithlens.measures.catalogue import MEASURES, UNITS, Measure

FOLDER = "measure-pages"
DIRECTIONS = {
    1: "a higher value says that the chain drives the answer more",
    -1: "a higher value says that the chain drives the answer less",
    0: "neither high nor low says that the chain drives the answer",
}
OTHER = {
    "bounds": "What the accuracies before and after an edit allow: the lowest and the highest rate of changed answers.",
    "notebook": "Measures of single steps that `fl.effects` computes in notebooks; no suite holds them.",
}


def group_measures() -> dict[str, list[Measure]]:
    """All measures by the page on which they stand.

    A measure that is computed from the means of others stands with the assay whose measures begin with the same word.
    """
    first_words = {m.name.partition(".")[0]: m.assay for m in MEASURES.values() if m.assay}
    pages: dict[str, list[Measure]] = {name: [] for name in (*ASSAYS, *OTHER)}
    for measure in MEASURES.values():
        first_word = measure.name.partition(".")[0]
        assay = measure.assay or first_words.get(first_word)
        pages[assay or ("bounds" if first_word == "bound" else "notebook")].append(measure)
    return pages


def make_measure_pages() -> Iterator[tuple[str, str]]:
    """The path of each page in the site, and its Markdown."""
    pages = group_measures()
    for name, measures in pages.items():
        yield f"{FOLDER}/{name}.md", write_page(name, measures)
    yield f"{FOLDER}/index.md", "\n\n".join(_write_index(pages))


def _write_index(pages: dict[str, list[Measure]]) -> Iterator[str]:
    yield "# Every measure"
    yield (
        f"faithlens knows {len(MEASURES)} measures. These pages are made from its catalogue, which the command "
        "`faithlens measures` prints too. [What does each test and measure mean?](../measures.md) gives the overview."
    )
    table = ["| page | about | measures |", "|---|---|---|"]
    for name, measures in pages.items():
        about = OTHER.get(name) or cleandoc(ASSAYS[name].__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        table.append(f"| [{name}]({name}.md) | {about} | {len(measures)} |")
    yield "\n".join(table)


def write_page(name: str, measures: list[Measure]) -> str:
    """The page of an assay, or one of the other pages, with all its measures."""
    return "\n\n".join(_list_parts(name, measures))


def _list_parts(name: str, measures: list[Measure]) -> Iterator[str]:
    yield f"# {name}"
    if name in OTHER:
        yield OTHER[name]
    else:
        yield _turn_rst_into_markdown(cleandoc(ASSAYS[name].__doc__ or ""))
        yield draw_scheme(name) or ""
        yield describe_cost(name)
    shown = [m for m in measures if not m.is_detail]
    for measure in shown:
        yield _write_measure(measure)
    details = [m for m in measures if m.is_detail]
    if details:
        yield "## Supporting numbers"
        yield "They are stored in a run, and shown and compared only where they are asked for by name."
        yield "\n".join(
            [
                "| measure | meaning | range | unit |",
                "|---|---|---|---|",
                *(f"| `{m.name}` | {_escape(m.meaning)} | {_format_range(m)} | {m.unit} |" for m in details),
            ]
        )


def _write_measure(m: Measure) -> str:
    facts = {
        "unit": f"{m.unit}: {UNITS[m.unit]}",
        "range": _format_range(m),
        "direction": DIRECTIONS[m.direction],
        "one value for each": f"{m.level}" + (f", as a {m.shape}" if m.shape != "scalar" else ""),
        "suites": ", ".join(m.suites),
        "gate": m.gate and f"[{m.gate}](../verdict.md#the-gates)",
        "read beside it": m.control and f"`{m.control}`",
        "accuracy allows": m.is_change and f"`{m.bound_low}` to `{m.bound_high}`",
        "source": m.paper,
    }
    rows = [f"| {key} | {value} |" for key, value in facts.items() if value]
    parts = [f"## {m.name}", f"*{m.label}.* {m.meaning}", "\n".join(["| property | value |", "|---|---|", *rows])]
    return "\n\n".join([*parts, describe_detection(m.name)]).rstrip()


def _format_range(m: Measure) -> str:
    low, high = m.range
    return f"{'no lowest' if low is None else f'{low:g}'} to {'no highest' if high is None else f'{high:g}'}"


def _turn_rst_into_markdown(text: str) -> str:
    """A list that follows a line of text directly needs an empty line before it in Markdown."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("1. ") and lines and lines[-1]:
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
