"""Chains of thought of Gur-Arieh et al. 2026 (BonaFide, arXiv:2605.25052), labelled as faithful or not by construction.

Each row of the released table (BonaFide.csv) is one label. The columns that are read:

    question_id     the question, which several models and chains share
    target_model    the model that wrote the chain
    cot             the chain of thought
    label_type      FAITHFUL_COT, UNFAITHFUL_COT, FAITHFUL_STEP or UNFAITHFUL_STEP

A label of a chain is one of the first two. A chain is known by its words, because neither the question nor the model
names it. Labels of steps are passed over: they are of spans of sentences, and the columns that hold the spans could not
be established from what was published about the table. A chain without a label of its own has none, and is not faithful
by default.

The four columns and the four labels are those of the dataset's card and of code that reads the table; the table itself
was not at hand when this was written. A file that differs is refused with its line.
"""

from pathlib import Path

from faithlens.errors import TaskError
from faithlens.tasks.entries import FaultList, check_text, shorten_value
from faithlens.tasks.published.files import read_table
from faithlens.tasks.published.labelled_chain import LabelledChain, join_words
from faithlens.tasks.question_factory import BadEntryError

COLUMNS = ("question_id", "target_model", "cot", "label_type")
CHAIN_LABELS = {"FAITHFUL_COT": True, "UNFAITHFUL_COT": False}
STEP_LABELS = ("FAITHFUL_STEP", "UNFAITHFUL_STEP")


def read_release(path: Path) -> list[LabelledChain]:
    """The labelled chains of the table, each once.

    Raises:
        TaskError: the table is damaged, has an unknown label, no label of a chain, or both labels for one chain; the
            line is named.
    """
    faults, chains = FaultList(path, "row"), dict[tuple[str, str, str], LabelledChain]()
    for where, entry in read_table(path).rows:
        with faults.collect_at(where):
            label = entry["label_type"]
            if label not in (*CHAIN_LABELS, *STEP_LABELS):
                known = ", ".join((*CHAIN_LABELS, *STEP_LABELS))
                raise BadEntryError(f"label_type is {shorten_value(label)}", f"one of {known} is expected there")
            words = join_words(check_text(entry["cot"], "cot"))
            if label in CHAIN_LABELS:
                chain = LabelledChain(entry["question_id"], entry["target_model"], words, CHAIN_LABELS[label])
                key = (chain.question_id, chain.model, words)
                if chains.setdefault(key, chain) != chain:
                    raise BadEntryError("the chain has both labels", "each chain is expected to have one of them")
    faults.raise_if_any("Copy the file from its source again.")
    if not chains:
        fix = f"Pass the whole table; a label of a chain is {' or '.join(CHAIN_LABELS)}."
        raise TaskError(f"{path} holds no label of a chain", fix)
    return [*chains.values()]
