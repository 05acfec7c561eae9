"""The report: one self-contained HTML file, made from run folders alone. No model, no network, no library in the page.

1. The first screen (verdicts, gates, numbers) and the figures are written as HTML and SVG when the page is made.
2. What the list of chains shows and filters by is one JSON index.
3. The chains themselves are JSON in chunks of `CHUNK` chains, each compressed (gzip, base64). The browser unpacks a
   chunk when one of its chains is opened, and all of them for a search.

The page runs its own script only: a content security policy names the digest of the script, so that nothing that a
model wrote could run even if it were not escaped.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from faithlens.measures.catalogue import MEASURES, get_measure, list_measures
from faithlens.report.behaviour import list_tests
from faithlens.report.chains import ANSWER_STATES, ChainEntry, Names, collect_chains
from faithlens.report.conditions import describe_condition
from faithlens.report.pictures import draw_pictures
from faithlens.report.subjects import ReportedSubject, name_subjects, read_subjects
from faithlens.report.terminal import GATE_MARKS, KNOWN_HEADING, REAL_HEADING
from faithlens.stats.number import format_ends, format_number
from faithlens.stats.remarks import CELL_MEANINGS
from faithlens.store import REPORT_NAME, Run
from faithlens.store.places import Place
from faithlens.tasks.kinds import OUTCOMES

CHUNK = 20
"""Chains in one compressed chunk: alike chains compress well together, and few are unpacked to show one."""
_FOLDER = Path(__file__).parent / "browser"
SCRIPTS = ("elements.js", "tips.js", "data.js", "list.js", "chain.js", "step.js", "address.js", "served.js")
"""The parts of the page's script, in the order in which they run."""
_GATE_LETTERS = {"pass": "p", "fail": "f", "open": "o"}


def write_page(run: Run) -> Place:
    """Write DIR/report.html and return its path. Raises RunError where the run is not finished."""
    run.write_text(REPORT_NAME, make_page(read_subjects(run)))
    return run.path / REPORT_NAME


class Served(NamedTuple):
    """How a page that is served learns that it has changed.

    Attributes:
        address: the address that answers with the version of the runs as they are now.
        version: the version of the runs when this page was made.
    """

    address: str
    version: str


def make_page(subjects: Sequence[ReportedSubject], served: Served | None = None) -> str:
    """The page on some models and tasks, of one run or of several.

    Args:
        subjects: from `read_subjects`.
        served: None for a page in a file.
    """
    names = name_subjects(subjects)
    conditions, measures = Names(), Names()
    chains = [collect_chains(each.entry, each.tables, conditions, measures) for each in subjects]
    places = _number_chains(chains)
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    numbers = {subject.key: subject.estimates for subject in subjects}
    listed = {name for known in numbers.values() for name in known} | set(measures.numbers)
    listed |= {name for each in subjects for name in each.tables["scores"]["measure"].unique()}
    return (
        _make_environment()
        .get_template("page.html.j2")
        .render(
            style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            policy=_make_policy(script),
            served=served,
            groups=_group_by_truth(subjects, names),
            subjects=list(zip(names, subjects, strict=True)),
            runs=_list_origins(subjects),
            headline=list_measures(place="report"),
            measures=[measure for name, measure in MEASURES.items() if name in listed],
            cells=CELL_MEANINGS,
            pictures=draw_pictures(subjects, names, places),
            numbers=numbers,
            tests={key: list_tests(known) for key, known in numbers.items()} if has_other_tests(numbers) else {},
            examples=_find_examples(subjects, places),
            index=_make_json(_make_index(names, chains, conditions, measures)),
            chunks=[_pack(chunk) for chunk in _split(chains)],
            n_chains=sum(map(len, chains)),
        )
    )


def make_problem_page(words: str) -> str:
    """A page that says in `words`, a line for each sentence, why there is no page now, and that tries again."""
    style = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))
    problem, *rest = words.splitlines()
    return _make_environment().get_template("problem.html.j2").render(style=style, problem=problem, rest=rest)


def has_other_tests(numbers: Mapping[Any, Mapping[str, Any]]) -> bool:
    """Whether tests were run that the suite `standard` lacks, and so the table at the top too."""
    standard = {measure.heading for measure in list_measures(suite="standard")}
    return any(set(list_tests(known)) - standard for known in numbers.values())


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_keep_per_cent,
    )
    environment.filters.update(plain=format_number, label=lambda name: get_measure(name).label)
    environment.globals.update(ends=format_ends, marks=GATE_MARKS)
    return environment


def _keep_per_cent(value: Any) -> Any:
    """A sentence in which no line can end between a number and its "%"; anything else as it is."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _make_policy(script: str) -> str:
    """The content security policy: the page's own script and styles, and where it is served, its own address."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'"


def _group_by_truth(
    subjects: Sequence[ReportedSubject], names: Sequence[str]
) -> dict[str, list[tuple[int, str, ReportedSubject]]]:
    """Number, name and subject under the headings of the summary, organisms first; empty headings are left out."""
    groups: dict[str, list[tuple[int, str, ReportedSubject]]] = {}
    for title, is_known in ((KNOWN_HEADING, True), (REAL_HEADING, False)):
        numbered = enumerate(zip(names, subjects, strict=True))
        own = [(i, n, s) for i, (n, s) in numbered if bool(s.entry.get("truth")) == is_known]
        groups |= {title: own} if own else {}
    return groups


def _list_origins(subjects: Sequence[ReportedSubject]) -> dict[str, Mapping[str, Any]]:
    return {subject.run: subject.origin for subject in subjects}


def _number_chains(chains: Sequence[Sequence[ChainEntry]]) -> list[dict[tuple[str, int], int]]:
    """For each subject, the number on the page of the chain of each question and sample; the first chain has 1."""
    out: list[dict[tuple[str, int], int]] = []
    first = 1
    for own in chains:
        out.append({(chain.line["question"], chain.line["sample"]): first + i for i, chain in enumerate(own)})
        first += len(own)
    return out


def _find_examples(
    subjects: Sequence[ReportedSubject], places: Sequence[Mapping[tuple[str, int], int]]
) -> dict[Any, int]:
    """The number on the page of the chain that shows each gate of each subject."""
    examples: dict[Any, int] = {}
    for subject, own in zip(subjects, places, strict=True):
        for gate in subject.entry["gates"]:
            example = gate["example"]
            if example and (at := (example["question"], example.get("sample", 0))) in own:
                examples[subject.key, gate["gate"]] = own[at]
    return examples


def _make_index(
    names: Sequence[str], chains: Sequence[Sequence[ChainEntry]], conditions: Names, measures: Names
) -> dict[str, Any]:
    """What the list shows and filters by, a column each, and the names that the chunks refer to by number."""
    gates = list(dict.fromkeys(gate for own in chains for chain in own for gate in chain.line["gates"]))
    lines = [{"subject": i, **chain.line} for i, own in enumerate(chains) for chain in own]
    for line in lines:
        line["gates"] = "".join(_GATE_LETTERS.get(line["gates"].get(gate, ""), "-") for gate in gates)
    columns = {name: [line[name] for line in lines] for name in lines[0]} if lines else {}
    return {
        "subjects": names,
        "gates": gates,
        "cells": CELL_MEANINGS,
        "answers": {state: words for state, words in ANSWER_STATES.items() if state in columns.get("answer", [])},
        "outcomes": OUTCOMES,
        "conditions": [{"name": name, **describe_condition(name)._asdict()} for name in conditions.numbers],
        "measures": list(measures.numbers),
        "inverse": [name for name in measures.numbers if get_measure(name).direction < 0],
        "chains": columns,
        "chunk": CHUNK,
    }


def _split(chains: Sequence[Sequence[ChainEntry]]) -> list[list[dict[str, Any]]]:
    details = [chain.detail for own in chains for chain in own]
    return [details[start : start + CHUNK] for start in range(0, len(details), CHUNK)]


def _pack(chunk: list[dict[str, Any]]) -> str:
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(text, 9, mtime=0)).decode("ascii")


def _make_json(content: Any) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(content, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
