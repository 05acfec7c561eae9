"""The editors that are no model. No torch is imported here, so that names are checked at once."""

from faithlens.errors import ConfigError
from faithlens.model.names import correct_word

EDITORS = ("task", "subject")
"""The task where it can, or the model under test."""


def check_editor(text: str) -> None:
    """Refuse a misspelt "task" or "subject", which would be looked for as a model.

    Raises:
        ConfigError: with the nearest of the two.
    """
    if near := correct_word(text, EDITORS):
        fix = f"Did you mean {near!r}? An editor is task, subject, URL#MODEL, or a model."
        raise ConfigError(f"no editor {text!r}", fix)
