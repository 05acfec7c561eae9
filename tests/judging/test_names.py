"""Names of readers are checked without torch, so that the error for a misspelling comes at once."""

import subprocess
import sys

import pytest

from faithlens.errors import ConfigError, ModelError
from faithlens.judging.names import check_reader_options


@pytest.mark.parametrize(
    ("name", "device", "error", "near"),
    [
        ("wrods", "auto", ConfigError, "words"),
        ("O55x", "auto", ModelError, "O5"),
        ("O5", "cuad", ConfigError, "cuda"),
    ],
)
def test_the_nearest_name_is_suggested(name: str, device: str, error: type[Exception], near: str) -> None:
    with pytest.raises(error, match=f"Did you mean '{near}'"):
        check_reader_options(name, device, "auto")


def test_readers_that_exist_are_let_through() -> None:
    for name in ("words", "O5", "http://127.0.0.1:8000/v1#m"):
        check_reader_options(name, "auto", "auto")


def test_no_torch_is_loaded_for_names() -> None:
    code = "import faithlens.judging.names, faithlens.commands.engines.choice, sys; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
