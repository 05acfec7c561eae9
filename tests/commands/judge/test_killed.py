"""What a command that was killed left half done is set aside with a warning, and made again."""

from pathlib import Path

import pandas as pd
import pytest

from faithlens.commands.judge.run import judge
from faithlens.errors import RunError
from faithlens.store import Run


@pytest.mark.parametrize(
    ("name", "next_step"),
    [
        ("parts/judgements/lost.parquet", "faithlens judge or monitor makes it again."),
        ("report.html", "is done again."),
    ],
)
def test_what_a_killed_command_left_is_set_aside_and_said(
    name: str, next_step: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that the manifest does not list yet, and one whose new digest it does not hold."""
    before = Run.open(path).estimates
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(b"half done")
    with pytest.raises(RunError, match="is not as faithlens wrote it"):
        judge(path, ["words"], dry_run=True)
    result = judge(path, ["words"])
    [words] = [record.message for record in caplog.records if name in record.message]
    assert words.startswith(f"In {path}, {name} ")
    assert words.endswith(next_step)
    assert (path / "set-aside" / name).read_bytes() == b"half done"
    pd.testing.assert_frame_equal(Run.open(path).estimates, before)
    assert result.summary["readers"] == [{"reader": "words"}]


def test_a_part_that_only_an_audit_makes_is_refused(path: Path) -> None:
    part = next((path / "parts" / "answers").iterdir())
    part.write_bytes(b"changed")
    with pytest.raises(RunError, match="is torn or changed") as caught:
        judge(path, ["words"])
    assert "faithlens audit --resume" in caught.value.fix
    assert part.read_bytes() == b"changed"
