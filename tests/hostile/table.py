"""The table of docs/hostile.md: every case is tried, and what a user sees is written beside it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from faithlens.errors import FaithlensError
from tests.hostile.case import Case
from tests.hostile.cases import CASES

START = "<!-- the rest is written by python -m tests.hostile -->\n"
FOREIGN = (
    "SafetensorError", "RecursionError", "read as GGUF", "not JSON", "toml cannot be read", "believed(?=: Extra)",
    "no connection",
)  # fmt: skip
"""What other libraries and systems say follows these words; it differs from version to version."""
SECRETS = ("SECRET", "sk-secret-key")


def try_case(case: Case) -> str:
    """What the user sees: the error with its fix, or the text that the case returns."""
    # a proxy of this machine is for other hosts, and the key must be seen nowhere
    variables = {"NO_PROXY": "*", "OPENAI_API_KEY": "sk-secret-key"}
    with TemporaryDirectory() as name, patch.dict(os.environ, variables):
        try:
            seen = str(case(Path(name)))
        except FaithlensError as error:
            seen = f"{error.problem}. {error.fix}"
        assert not any(secret in seen for secret in SECRETS), seen
        assert all(c.isprintable() or c == "\n" for c in seen), ascii(seen)
        return normalise(seen, name)


def normalise(text: str, folder: str) -> str:
    """The text without what differs from run to run: the folder, ports, processes and times; and short enough."""
    text = " ".join(text.replace(folder, "DIR").split())
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"process \d+ on \S+, since [^,]+,", "process 4711 on HOST, since TIME,", text)
    text = re.sub(r"has [\d,]+ bytes, and [\d,]+ were written", "has N bytes, and N were written", text)
    for start in FOREIGN:
        text = re.sub(rf"({start}): .*?([.;] [A-Zw])", r"\1: …\2", text)
    return text if len(text) <= 400 else f"{text[:400]}..."


def write_rows() -> Iterator[str]:
    """The lines of the tables, one table for each kind of input."""
    for kind, cases in CASES.items():
        yield from ("", f"## {kind}", "", "| input | what you see |", "|---|---|")
        for name, case in cases.items():
            yield write_row(name, try_case(case))


def write_row(name: str, seen: str) -> str:
    """A row of a table: what stands there is text, and no markup."""
    for character in "\\`|<*_[]":
        seen = seen.replace(character, f"\\{character}")
    return f"| {name} | {seen} |"


def write_table() -> str:
    """The generated end of docs/hostile.md."""
    return START + "\n".join(write_rows()) + "\n"
