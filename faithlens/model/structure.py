"""Attention edges that a model was trained without: the structural truth of an organism.

A model's `config.json` may carry

    "faithlens": {"organism": "O4", "sections": {"steps": 5, "answer": 6}, "forbidden": [["answer", "steps"]]}

`sections` maps a section's name to the token id that opens it (section "question" is open from the start);
each forbidden pair `[reader, read]` removes every attention edge from tokens of `reader` to tokens of `read`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[int, int]


@dataclass(frozen=True)
class Structure:
    """Forbidden attention edges between the sections of a sequence. The empty structure forbids nothing."""

    sections: tuple[tuple[str, int], ...] = ()
    forbidden: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_config(cls, entry: dict | None) -> "Structure":
        """Read the `faithlens` entry of a model's config; None gives the empty structure."""
        if not entry:
            return cls()
        return cls(tuple(entry["sections"].items()), tuple((q, k) for q, k in entry["forbidden"]))

    def list_hidden(self, ids: Sequence[int]) -> list[tuple[Interval, ...]]:
        """For each token, the half-open position intervals of `ids` it may not attend to."""
        if not self.forbidden:
            return [()] * len(ids)
        opens = {token: name for name, token in self.sections}
        section, start, out = "question", 0, []
        stretches: dict[str, dict[int, int]] = {}  # of each section, which may be opened again: start to stop
        for i, token in enumerate(ids):
            if opens.get(token, section) != section:
                section, start = opens[token], i
            stretches.setdefault(section, {})[start] = i + 1
            out.append(tuple(x for q, k in self.forbidden if q == section for x in stretches.get(k, {}).items()))
        return out
