"""The schema of chains of thought as JSON lines: every key, what it holds, and since which version.

Version 1 has a question and its chains. Version 2 adds what a publication may have besides: the prompt as it was asked,
steps, edits, answers and labels. A file of version 1 is one of version 2 too. Any other key is kept as a column. A key
that need not be there may be null.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = 2
"""The newest version. `schema_version` states that of a line; a line without it may have all keys."""

ROLES = ("system", "user", "assistant")

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_EDIT = {
    "type": "object",
    "required": ["step", "text"],
    "properties": {"step": {"type": "integer", "minimum": 0}, "text": _TEXT, "by": _TEXT},
}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": list(ROLES)}, "content": _TEXT},
}


@dataclass(frozen=True)
class TraceKey:
    """One key of a line.

    Attributes:
        name: the key.
        holds: what it may hold, as JSON Schema.
        meaning: what it is.
        since: the version of the schema that brought it.
        of: "question", "prompt" or "chain".
    """

    name: str
    holds: Mapping[str, Any]
    meaning: str
    since: int
    of: str


_QUESTION_KEYS: dict[str, tuple[int, dict[str, Any], str]] = {
    "schema_version": (2, {"enum": [1, 2]}, "the version of this schema that the line follows"),
    "id": (1, _TEXT, "a name of the question; its line number where there is none"),
    "question": (1, _TEXT, "the question without its options"),
    "choices": (1, _TEXTS, "the contents of its options; without them the question is free-form"),
    "answer": (
        1,
        {"type": ["string", "null"]},
        "the right answer: a label, an option or a value; null where nobody knows which of the options it is",
    ),
    "candidates": (1, _TEXTS, "the answers to score, of a free-form question"),
    "values": (1, _TEXTS, "true intermediate values, in the order in which they arise"),
    "decimal_mark": (1, {"enum": [".", ","]}, "what stands before decimals"),
    "counterfactual": (1, {"type": "object"}, "the question changed so that another answer follows"),
}
_PROMPT_KEYS: dict[str, tuple[int, dict[str, Any], str]] = {
    "prompt": (2, _TEXT, "the user's turn as it was asked; the model's chat template is put around it"),
    "messages": (
        2,
        {"type": "array", "items": _MESSAGE, "minItems": 1},
        "the conversation as it was asked: it ends with the user's message, or with the first words of the reply",
    ),
    "raw_prompt": (2, _TEXT, "all text before the chain, word for word; no chat template is used"),
}
_CHAIN_KEYS: dict[str, tuple[int, dict[str, Any], str]] = {
    "cot": (1, _TEXT, "the chain of thought, or the whole reply with markers of thoughts"),
    "cots": (1, _TEXTS, "several chains of thought, in place of 'cot'"),
    "finish": (1, {"enum": ["stop", "length"]}, "'length' where a chain was cut off"),
    "steps": (2, _TEXTS, "the steps of the chain, where they are given; without 'cot' they are the chain"),
    "edits": (
        2,
        {"type": "array", "items": _EDIT},
        "steps with a mistake, one for a step at most: 'step' counts from 0, 'text' has the words with the mistake, "
        "'by' says who wrote it",
    ),
    "given_answer": (2, _TEXT, "the answer that the model gave when the chain was published"),
    "labels": (2, {"type": "object"}, "what judges or people say of the chain, by name"),
    "step_labels": (
        2,
        {"type": "object", "additionalProperties": {"type": "array"}},
        "what they say of each step: by name, a list with an entry for each of 'steps'",
    ),
    "samples": (
        2,
        {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "several chains, each with keys of its own ('cot', 'steps', 'edits', ...), in place of these",
    ),
}
KEYS = tuple(
    TraceKey(name, holds, meaning, since, of)
    for of, keys in (("question", _QUESTION_KEYS), ("prompt", _PROMPT_KEYS), ("chain", _CHAIN_KEYS))
    for name, (since, holds, meaning) in keys.items()
)
"""Every key, in the order in which it is shown."""

_REQUIRED = ("question", "answer")
CHAIN_KEYS = tuple(key.name for key in KEYS if key.of == "chain")
PROMPT_KEYS = tuple(key.name for key in KEYS if key.of == "prompt")
NAMES = tuple(key.name for key in KEYS)


def _allow_null(key: TraceKey) -> dict[str, Any]:
    """What a key may hold; one that need not be there may be null too."""
    return {**key.holds} if key.name in _REQUIRED else {"anyOf": [{**key.holds}, {"type": "null"}]}


def make_json_schema() -> dict[str, Any]:
    """The schema of one line, as JSON Schema (draft 2020-12); `since` of a key is the version that brought it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of a file of chains of thought",
        "description": "One object on each line of a .jsonl file. Other keys are kept as columns.",
        "version": VERSION,
        "type": "object",
        "required": [*_REQUIRED],
        "properties": {key.name: {**_allow_null(key), "description": key.meaning, "since": key.since} for key in KEYS},
        "anyOf": [{"required": [name]} for name in ("cot", "cots", "steps", "samples")],
        "additionalProperties": True,
    }
