"""Inputs that are broken or meant to do harm, by kind: the tables of docs/hostile.md."""

from pathlib import Path

from faithlens.console import SafeConsole
from tests.hostile.case import Case
from tests.hostile.endpoint_cases import ENDPOINTS
from tests.hostile.file_cases import LOGS, SWEEPS
from tests.hostile.model_cases import GGUFS, MODELS
from tests.hostile.run_cases import RUNS


def print_text(text: str) -> Case:
    def use(folder: Path) -> str:
        console = SafeConsole(width=200, record=True, file=(folder / "out").open("w", encoding="utf-8"))
        console.print_line(text)
        return f"shown as {console.export_text().strip()}"

    return use


TEXTS: dict[str, Case] = {
    "escape codes": print_text("\x1b[2J\x1b]0;owned\x07"),
    "brackets of rich": print_text("x[/] [bold]y"),
    "writing from right to left": print_text("a\u202eb"),
    "NUL and backspace": print_text("a\x00\x08b"),
    "half a character": print_text("a\ud800b"),
}

CASES: dict[str, dict[str, Case]] = {
    "Folders of models": MODELS,
    "GGUF files": GGUFS,
    "Chains and logs (`--traces`)": LOGS,
    "Sweeps (`sweep.toml`)": SWEEPS,
    "Run folders": RUNS,
    "Endpoints": ENDPOINTS,
    "Text on a terminal": TEXTS,
}
