"""Entries of verdict.json."""

from collections.abc import Sequence

from faithlens.store.shapes import SubjectEntry


def make_entry(model: str, task: str, verdict: str = "undecided", reasons: Sequence[str] = ()) -> SubjectEntry:
    """The entry of a model on a task, without gates or numbers."""
    entry = {"model": model, "task": task, "verdict": verdict, "reasons": [*reasons], "truth": None, "cells": {}}
    more = {"questions_needed": None, "measures": {}, "kind": "", "gates": [], "strata": None, "partly_edited": 0}
    return entry | more  # pyright: ignore[reportReturnType]
