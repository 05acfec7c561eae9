"""`replicate`: the table of a paper, made again from the files that its authors released."""

from collections.abc import Callable
from pathlib import Path

from faithlens.commands.replicate.fur import replicate_fur
from faithlens.commands.replicate.iphr import replicate_iphr
from faithlens.commands.replicate.table import Replication
from faithlens.commands.replicate.thought_branches import replicate_thought_branches
from faithlens.commands.replicate.turpin import replicate_turpin
from faithlens.errors import TaskError, check_choice

SOURCES: dict[str, Callable[[str | Path], Replication]] = {
    "turpin": replicate_turpin,
    "iphr": replicate_iphr,
    "fur": replicate_fur,
    "thought-branches": replicate_thought_branches,
}


def replicate(source: str, folder: str | Path) -> Replication:
    """The table of a paper beside the same numbers made from its released files.

    Args:
        source: "turpin", "iphr", "fur" or "thought-branches".
        folder: the folder that holds the files, packed with gzip or not, in subfolders or not.

    Returns:
        A cell for each number, with the published one, the difference and what explains it.

    Raises:
        ConfigError: the source is unknown.
        TaskError: the folder holds no such files, or one of them is damaged.
    """
    check_choice(source, SOURCES, "source of published results")
    replication = SOURCES[source](folder)
    if not replication.files:
        raise TaskError(
            f"{folder} holds no files of {source}: {'; '.join(replication.remarks)}",
            "Pass the folder that holds the files that the authors released.",
        )
    return replication
