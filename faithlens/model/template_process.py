"""The program of the process in which chat templates are rendered; `faithlens.model.templates` starts it as a file.

It reads one request of JSON on each line and writes one reply::

    {"template": "...", "messages": [...], "variables": {...}, "day": [2024, 7, 26], "longest": 1000}
    {"text": "..."}   or   {"error": "TemplateError: ..."}

The environment is that of transformers' `apply_chat_template`, except that `strftime_now` gives a fixed day. This
file imports nothing of faithlens, so that it starts in a tenth of a second.
"""

import json
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import ClassVar

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MEMORY_BYTES = 1 << 30
_ALARM_SECONDS = 60


class GenerationBlock(jinja2.ext.Extension):
    """The tag ``{% generation %}``, which marks the assistant's words for training; its body is rendered as it is."""

    tags: ClassVar[set[str]] = {"generation"}  # pyright: ignore[reportIncompatibleVariableOverride]

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body of the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def raise_exception(message: str) -> None:
    """End the rendering; templates call this where a conversation has a form that they do not know."""
    raise jinja2.TemplateError(message)


def write_json(
    value: object, ensure_ascii: bool = False, indent: int | None = None, separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:  # fmt: skip
    """The filter `tojson`, without the HTML escapes of jinja's own."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=8)
def compile_template(template: str) -> jinja2.Template:
    """The template in the environment of transformers."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = write_json
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template)


def render(template: str, messages: list, variables: dict, day: list[int], longest: int) -> str:
    """The rendered conversation.

    Raises:
        ValueError: it is longer than `longest` characters.
    """
    strftime: Callable[[str], str] = datetime(*day).strftime  # type: ignore[arg-type]
    context = {"messages": messages, "tools": None, "documents": None, "strftime_now": strftime} | variables
    parts, length = [], 0
    for part in compile_template(template).generate(context):
        parts.append(part)
        length += len(part)
        if length > longest:
            raise ValueError(f"it writes more than {longest:,} characters")
    return "".join(parts)


def limit_memory() -> None:
    """Let this process take at most `_MEMORY_BYTES`, where the system can limit it."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    except (ImportError, ValueError, OSError):  # not on this system: the limit of time remains
        pass


def set_alarm(seconds: int) -> None:
    """End this process after `seconds`, where the system can: the program that would stop it may be gone."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def serve() -> None:
    """Reply to requests until there are no more."""
    limit_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the program that sends requests, and then this one
    for line in sys.stdin:
        set_alarm(_ALARM_SECONDS)
        try:
            reply = {"text": render(**json.loads(line))}
        except Exception as error:  # noqa: BLE001 - whatever a template raises is its error
            reply = {"error": f"{type(error).__name__}: {error}"}
        set_alarm(0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
