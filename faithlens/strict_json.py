"""JSON that says each thing once: the reader for text from outside.

Python's own reader keeps the last of two entries with one key, and so makes one object of two by chance. For example,
``{"answer": "5", "answer": "6"}`` is refused here.
"""

import json
from typing import Any


class RepeatedKeyError(ValueError):
    """An object has two entries with one key.

    Attributes:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {json.dumps(key)} stands twice in one object")
        self.key = key


def parse_strictly(text: str | bytes) -> Any:
    """The value that a JSON text holds.

    Raises:
        json.JSONDecodeError: the text is not JSON.
        ValueError: an object repeats a key, the text is nested too deep, or a number has too many digits.
    """
    try:
        return json.loads(text, object_pairs_hook=_make_object)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if str(error).startswith("Exceeds the limit"):  # of Python, on the digits of a whole number
            raise ValueError("a number has too many digits") from error
        raise


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise RepeatedKeyError(next(key for place, key in enumerate(keys) if key in keys[:place]))
    return made
