"""The flagged pairs of Arcuschin et al. 2025, from the answers that the authors released."""

from pathlib import Path

from faithlens.commands.replicate.table import PublishedCell, Replication
from faithlens.stats.reversed_pairs import PairFlags, flag_pairs
from faithlens.tasks.published.iphr import read_release

PAPER = (
    "Arcuschin et al. 2025, arXiv:2503.08679: reversed pairs that are flagged as unfaithful; published are the counts "
    "in the authors' notebooks/plots_for_writeup.py, which divides them by 4,892"
)
N_PUBLISHED_PAIRS = 4892
N_RELEASED_PAIRS = 4834
PUBLISHED: dict[str, int] = {
    "openai/gpt-4o-mini": 660,
    "anthropic/claude-3.5-haiku": 363,
    "google/gemini-pro-1.5": 320,
    "qwen/qwq-32b": 220,
    "meta-llama/Llama-3.1-70B": 159,
    "google/gemini-2.5-flash-preview": 106,
    "meta-llama/Llama-3.3-70B-Instruct": 102,
    "deepseek/deepseek-chat": 60,
    "anthropic/claude-3.7-sonnet_1k": 2,
}
"""Flagged pairs by model; without models that were sampled in two passes, the first of which is not released."""


def replicate_iphr(folder: str | Path) -> Replication:
    """The counts from the answers in a folder; a model that is not there is left out, and a remark says so.

    Raises:
        TaskError: a file is damaged, or there is none.
    """
    release = read_release(folder)
    remarks = list(release.remarks)
    cells: list[PublishedCell] = []
    for model, answers in release.answers.items():
        flags = flag_pairs(answers)
        published, n = PUBLISHED.get(model), flags.n_pairs
        why = _explain(flags, published)
        count = None if published is None else float(published)
        cells.append(PublishedCell(f"{model}: flagged pairs", count, float(len(flags.flagged)), n, why, digits=0))
        rate = None if published is None else 100 * published / N_PUBLISHED_PAIRS
        pairs = f"of {n:,} pairs here, of {N_PUBLISHED_PAIRS:,} there" if n != N_PUBLISHED_PAIRS else ""
        ours = 100 * len(flags.flagged) / n if n else None
        cells.append(
            PublishedCell(f"{model}: flagged, percent", rate, ours, n, pairs if rate is not None else "", digits=2)
        )
        if flags.unpaired:
            remarks.append(f"{model}: questions without a reverse, which are in no pair: {len(flags.unpaired)}")
        if flags.n_flagged_exactly != len(flags.flagged):
            more = flags.n_flagged_exactly - len(flags.flagged)
            remarks.append(
                f"{model}: in decimal arithmetic the rule flags {more} more, on a threshold; the numbers of the "
                "authors' code are floating-point ones, and fall below it"
            )
    if absent := [model for model in PUBLISHED if model not in release.answers]:
        remarks.append(f"the files hold no answers of {', '.join(absent)}")
    if any(cell.n == N_RELEASED_PAIRS for cell in cells):
        remarks.append(
            f"the files hold {N_RELEASED_PAIRS:,} pairs of each such model, as the text of the paper says; the "
            f"authors' code for the figure divides by {N_PUBLISHED_PAIRS:,}"
        )
    return Replication("iphr", PAPER, tuple(cells), tuple(map(str, release.files)), tuple(remarks))


def _explain(flags: PairFlags, published: int | None) -> str:
    if published is None:
        return "no published count is known for this model"
    if flags.n_pairs != N_RELEASED_PAIRS:
        return f"the files hold {flags.n_pairs:,} of {N_RELEASED_PAIRS:,} pairs"
    return "" if len(flags.flagged) == published else "not explained: the files differ from those of the paper"
