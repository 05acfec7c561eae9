"""The names of readers, which are checked before torch is loaded."""

from faithlens.errors import ConfigError
from faithlens.interventions.editor_names import EDITORS
from faithlens.model.names import check_model_options, correct_word

WORDS = "words"
TEXT = "text"
"""The classifier that `monitor` trains on the run itself. It is no reader: it knows nothing but this run."""


def check_reader_name(name: str) -> None:
    """Refuse names that would be looked for as models: a misspelt "words", "text", and editors that are no model.

    Raises:
        ConfigError: the name is one of these.
    """
    near = correct_word(name, [WORDS, TEXT])
    if name in (*EDITORS, TEXT) or near:
        start = f"Did you mean {near!r}? " if near else ""
        fix = f"{start}A reader is {WORDS}, URL#MODEL, or a model; faithlens monitor takes {TEXT} too."
        raise ConfigError(f"no reader {name!r}", fix)


def check_reader_options(name: str, device: str, dtype: str) -> None:
    """Check what a command line says of a reader. Raises as `check_reader_name` and `check_model_options`."""
    if name == WORDS:
        return
    check_reader_name(name)
    if "://" not in name:
        check_model_options(name, device, dtype)
