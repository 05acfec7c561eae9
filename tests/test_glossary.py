"""The glossary has one sentence for each term, in the order of the alphabet, and names what a user meets everywhere."""

import re
from pathlib import Path
from typing import get_args

from faithlens.gates.profile import GATES
from faithlens.measures.catalogue import SUITES
from faithlens.plan.condition import COMPONENTS
from faithlens.stats.remarks import CELL_MEANINGS
from faithlens.stats.verdict import VerdictName
from faithlens.store.tables import SCHEMAS

PAGE = Path(__file__).parent.parent / "docs" / "glossary.md"
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.M)[1:]
TERMS = [term for term, _ in ROWS]


def test_terms_are_sorted_and_each_has_one_sentence() -> None:
    assert [re.sub("[^a-z ]", "", term) for term in TERMS] == sorted(re.sub("[^a-z ]", "", term) for term in TERMS)
    assert len(set(TERMS)) == len(TERMS) > 50
    assert [meaning for _, meaning in ROWS if not re.fullmatch(r"[A-Z].*\.", meaning)] == []
    assert [meaning for _, meaning in ROWS if re.search(r"\. [A-Z]", meaning)] == []


def test_names_that_a_user_meets_are_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [
        name for name in (*GATES, *SUITES, *COMPONENTS, *CELL_MEANINGS, *get_args(VerdictName)) if name not in text
    ] == []
    singular = {
        "scores": "score",
        "estimates": "estimate",
        "edits": "edit",
        "traces": "trace",
        "answers": "answer option",
        "drafts": "draft",
        "hinted_chains": "hinted chain",
        "judgements": "judgement",
    }
    assert {singular[table] for table in SCHEMAS} <= set(TERMS)
