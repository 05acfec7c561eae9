"""JSON that says each thing once: the reader for text from outside.

Python's own reader keeps the last of two entries with one key, and so makes one object of two by chance. For example,
``{"answer": "5", "answer": "6"}`` is refused here.
"""

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


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


def find_misfit(value: Any, shape: Any, name: str = "") -> str | None:
    """What in a value of a JSON text is not as an annotation says, as the end of a sentence; None if all is.

    For example, with ``class Entry(TypedDict): reasons: list[str]``, the value ``{"reasons": ["too few", 7]}`` "has 7
    as reasons.1, where a text belongs".

    Args:
        value: the value.
        shape: text, number, switch, None, list[...], dict[str, ...], a Literal, a TypedDict, whose objects may have
            further entries, or a union of these; Any for everything.
        name: where the value stands, such as "subjects.0".
    """
    return next(_list_misfits(value, shape, name), None)


def _list_misfits(value: Any, shape: Any, name: str) -> Iterator[str]:
    origin, parts = get_origin(shape), get_args(shape)
    if origin in (Union, UnionType):
        misfits = [[*_list_misfits(value, part, name)] for part in parts]
        if all(misfits):  # the part that went deepest says most
            yield max((each[0] for each in misfits), key=lambda text: text.count("."))
    elif is_typeddict(shape) and isinstance(value, dict):
        for key, part in get_type_hints(shape).items():
            if key in value:
                yield from _list_misfits(value[key], part, f"{name}.{key}".lstrip("."))
            elif key in shape.__required_keys__:
                yield f"has no entry {f'{name}.{key}'.lstrip('.')}"
    elif origin is list and isinstance(value, list):
        for place, each in enumerate(value):
            yield from _list_misfits(each, parts[0], f"{name}.{place}".lstrip("."))
    elif origin is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from _list_misfits(each, parts[1], f"{name}.{key}".lstrip("."))
    elif not _is_of(value, shape):
        stated = (
            " or ".join(map(repr, parts))
            if origin is Literal
            else _WORDS.get(shape, "a list" if origin is list else "an object")
        )
        yield f"has {json.dumps(value)[:40]} as {name or 'its content'}, where {stated} belongs"


def _is_of(value: Any, shape: Any) -> bool:
    """Whether a value is of a simple shape; true and false are no numbers."""
    if shape is Any:
        return True
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    expected = (int, float) if shape is float else shape if shape in _WORDS else ()
    return isinstance(value, expected) and (shape is bool or not isinstance(value, bool))
