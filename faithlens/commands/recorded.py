"""Chains of thought that a unit takes over from another run, read from the drafts of that run."""

import logging
from collections.abc import Iterator
from contextlib import suppress

import pandas as pd

from faithlens.assays.cases import CHAIN_DRAFTS
from faithlens.errors import TraceError, escape_controls
from faithlens.execution.sample import Continuation
from faithlens.model.model import Model

_LOG = logging.getLogger(__name__)


def decode_draft(model: Model, draft: Continuation) -> str:
    """The text that a model wrote after a prompt. Raises TraceError for tokens that its tokenizer does not know."""
    return model.decode((*draft.prompt, *draft.ids))[len(model.decode(draft.prompt)) :]


def read_chain_drafts(model: Model, rows: pd.DataFrame) -> Iterator[Continuation]:
    """The chains of thought among rows of the table of drafts, as they were drawn.

    One whose text is not that of its tokens is left out, so that it is drawn again; a warning names it.
    """
    for row in rows[rows["name"].isin(CHAIN_DRAFTS)].to_dict("records"):
        draft = Continuation(
            tuple(map(int, row["prompt_ids"])),
            tuple(map(int, row["ids"])),
            row["finish"],
            int(row["seed"]),
            None if row["logprobs"] is None else tuple(map(float, row["logprobs"])),
            row["unusable_reason"] if isinstance(row["unusable_reason"], str) else None,
        )
        text = None
        with suppress(TraceError):
            text = decode_draft(model, draft)
        if text == row["text"]:
            yield draft
        else:
            words = f"The chain of {row['question']} that was taken over has the tokens of another text."
            _LOG.warning("%s", f"{escape_controls(words)} It is drawn again.")
