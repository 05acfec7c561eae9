"""Which chains of a run are judged, and what the readers have said of them so far.

1. Each row of the table `hinted_chains` whose hint or bias switched the answer gives two inquiries: the chain that was
   written under it, and the chain that was written without it, which cannot speak of it.
2. The planted chains (`judging.planted`) are asked too, once for all models of a run.
3. `Judgements` holds what each reader has said. A judgement is found again by the digest of all that the reader was
   shown, so that none is made twice, in this run of the command or in a later one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from faithlens.errors import RunError
from faithlens.judging.inquiry import ChainReader, Inquiry, Judgement, join_readers, join_repeats
from faithlens.store import Run

ChainKey = tuple[str, str, str, int, str]
"""Model, task, question, sample and condition, which together name one chain of a run."""


@dataclass(frozen=True)
class HintedChain:
    """One row of `hinted_chains`.

    Attributes:
        model, task, question, sample, condition: the chain from which it comes.
        is_eligible: whether the answer without the hint is not the hinted one.
        has_switched: whether it is eligible, and the answer with the hint is the hinted one.
        answer, plain_answer: the answer after the chain under the hint, and after the one without it.
        hinted, plain: what readers are asked about the chain under the hint, and about the chain without it.
    """

    model: str
    task: str
    question: str
    sample: int
    condition: str
    is_eligible: bool
    has_switched: bool
    answer: str
    plain_answer: str
    hinted: Inquiry
    plain: Inquiry

    @property
    def key(self) -> ChainKey:
        """What names the chain under the hint."""
        return self.model, self.task, self.question, self.sample, self.condition


def list_hinted_chains(run: Run) -> list[HintedChain]:
    """The hinted chains of a finished run.

    Raises:
        RunError: the run has none.
    """
    rows = list[Mapping[Any, Any]]()
    if run.has_table("hinted_chains"):
        rows = run.hinted_chains.to_dict("records")
    if not rows:
        raise RunError(
            f"the run in {run.path} has no chains under hints or biased prompts",
            "Audit with them: --suite standard for hints, --assays baselines,bias for biased prompts.",
        )
    return [_read_row(row) for row in rows]


def _read_row(row: Mapping[Any, Any]) -> HintedChain:
    kind, label, prompt = str(row["kind"]), str(row["label"]), str(row["prompt"])
    is_eligible = row["plain_answer"] != label
    return HintedChain(
        row["model"],
        row["task"],
        row["question"],
        int(row["sample"]),
        row["condition"],
        is_eligible,
        is_eligible and row["answer"] == label,
        str(row["answer"]),
        str(row["plain_answer"]),
        Inquiry(kind, label, prompt, row["cot"]),
        Inquiry(kind, label, prompt, row["plain_cot"]),
    )


@dataclass
class Judgements:
    """What readers have said: for each reader and digest, the judgement of each repeat."""

    known: dict[tuple[str, str], dict[int, Judgement]] = field(
        default_factory=dict[tuple[str, str], dict[int, Judgement]]
    )
    _digests: dict[tuple[str, Inquiry], str] = field(default_factory=dict[tuple[str, Inquiry], str])

    @classmethod
    def read(cls, run: Run) -> "Judgements":
        """The judgements that a run folder holds."""
        out = cls()
        if run.has_table("judgements"):
            for row in run.judgements.to_dict("records"):
                label, reason = (None if pd.isna(row[name]) else row[name] for name in ("judged", "reason"))
                of = out.known.setdefault((row["reader"], row["digest"]), {})
                of[int(row["repeat"])] = Judgement(label, reason, row["reply"])
        return out

    def identify(self, reader: ChainReader, inquiry: Inquiry) -> str:
        """The digest of what a reader is asked."""
        if (reader.name, inquiry) not in self._digests:
            self._digests[reader.name, inquiry] = reader.identify(inquiry)
        return self._digests[reader.name, inquiry]

    def add(self, reader: ChainReader, inquiry: Inquiry, repeat: int, judgement: Judgement) -> None:
        """Keep one judgement."""
        self.known.setdefault((reader.name, self.identify(reader, inquiry)), {})[repeat] = judgement

    def list_missing(self, reader: ChainReader, inquiries: Sequence[Inquiry]) -> Iterator[tuple[int, Inquiry]]:
        """The repeats of `inquiries` that a reader has not done yet; equal inquiries are read once."""
        distinct = {self.identify(reader, inquiry): inquiry for inquiry in inquiries}
        for repeat in range(reader.repeats):
            for digest, inquiry in distinct.items():
                if repeat not in self.known.get((reader.name, digest), {}):
                    yield repeat, inquiry

    def get(self, reader: ChainReader, inquiry: Inquiry) -> Judgement:
        """What a reader says of a chain in all its repeats."""
        of = self.known.get((reader.name, self.identify(reader, inquiry)), {})
        own = [of[repeat] for repeat in range(reader.repeats) if repeat in of]
        return join_repeats(reader.name, own if len(own) == reader.repeats else [])

    def get_joint(self, readers: Sequence[ChainReader], inquiry: Inquiry) -> Judgement:
        """What all readers say of a chain."""
        return join_readers({reader.name: self.get(reader, inquiry) for reader in readers})
