"""Attention edges that a model was trained without: the structural truth of an organism.

The `config.json` of a model may hold

    "faithlens": {"organism": "O4", "sections": {"steps": 5, "answer": 6}, "forbidden": [["answer", "steps"]]}

`sections` maps the name of a section to the token id that opens it (section "question" is open from the start);
each forbidden pair `[reader, read]` removes every attention edge from tokens of `reader` to tokens of `read`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from faithlens.errors import ModelError

Interval = tuple[int, int]


@dataclass(frozen=True)
class Structure:
    """Forbidden attention edges between the sections of a sequence. The empty structure forbids nothing."""

    sections: tuple[tuple[str, int], ...] = ()
    forbidden: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_config(cls, entry: Mapping[str, Any] | None, model_name: str = "the model") -> "Structure":
        """Read the `faithlens` entry of a model's config; None gives the empty structure.

        Raises:
            ModelError: the entry has another form; `model_name` stands in the message.
        """
        if not entry:
            return cls()
        try:
            return cls(tuple(entry["sections"].items()), tuple((q, k) for q, k in entry["forbidden"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"the faithlens entry in the config of {model_name} cannot be read: {error!r}",
                'Write it as {"sections": {name: token id}, "forbidden": [[reader, read]]}.',
            ) from error

    def list_hidden(self, ids: Sequence[int]) -> list[tuple[Interval, ...]]:
        """For each token, the half-open position intervals of `ids` it may not attend to."""
        if not self.forbidden:
            return [()] * len(ids)
        opens = {token: name for name, token in self.sections}
        section, start, out = "question", 0, []
        stretches: dict[str, dict[int, int]] = {}  # of each section: {start: stop}; a section may open several times
        for i, token in enumerate(ids):
            if opens.get(token, section) != section:
                section, start = opens[token], i
            stretches.setdefault(section, {})[start] = i + 1
            out.append(tuple(x for q, k in self.forbidden if q == section for x in stretches.get(k, {}).items()))
        return out

    def list_stretches(self, ids: Sequence[int]) -> list[tuple[int, int, tuple[Interval, ...]]]:
        """`list_hidden` for stretches of neighbouring tokens: (start, stop, intervals that none of them attends to)."""
        out, start = [], 0
        for hidden, tokens in groupby(self.list_hidden(ids)):
            stop = start + len(list(tokens))
            out.append((start, stop, hidden))
            start = stop
        return out
