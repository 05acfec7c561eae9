"""``python -m tests.hostile`` writes the tables of docs/hostile.md again."""

from pathlib import Path

from tests.hostile.table import START, write_table

PAGE = Path(__file__).parents[2] / "docs" / "hostile.md"

if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(START)[0] + write_table(), encoding="utf-8")
