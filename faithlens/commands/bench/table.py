"""A result as Markdown."""

from collections.abc import Mapping
from typing import Any

from faithlens.commands.bench.harness import LIBRARIES

Limit = tuple[str, float]  # "at least" or "at most", and a number


def format_result(result: Mapping[str, Any], bars: Mapping[str, Limit] = {}) -> str:
    """Seconds of all rivals, the ratios of interest with their `bars`, and what the numbers depend on.

    `result` is what `BenchResult.to_dict` gives.
    """
    lines = [f"{result['work']}.", "", "| | seconds, median | quartiles |", "|---|---|---|"]
    for name, s in result["seconds"].items():
        lines.append(f"| {name} | {s['median']:.3g} | {s['q1']:.3g} to {s['q3']:.3g} |")
    lines += ["", "| ratio, round by round | median | from, to |" + (" bar |" if bars else "")]
    lines.append("|---|---|---|" + ("---|" if bars else ""))
    for what, r in result["comparisons"].items():
        judged = f" {judge_ratio(r['median'], bars[what])} |" if what in bars else " |" if bars else ""
        lines.append(f"| {what} | {r['median']:.2f} | {r['min']:.2f} to {r['max']:.2f} |{judged}")
    if result["peak_mib"]:
        peaks = "; ".join(f"{name}: {mib:,.0f} MiB" for name, mib in result["peak_mib"].items())
        lines += ["", f"Peak memory beyond the loaded model: {peaks}."]
    return "\n".join([*lines, "", describe_circumstances(result)])


def judge_ratio(median: float, bar: Limit) -> str:
    """The bar, and whether it is met."""
    which, number = bar
    is_met = median >= number if which == "at least" else median <= number
    return f"{which} {number:g}: {'met' if is_met else 'missed'}"


def describe_circumstances(result: Mapping[str, Any]) -> str:
    """Model, machine, versions, commit."""
    e, rounds = result["environment"], len(next(iter(result["seconds"].values()))["all"])
    where = e["cpu"] if e["device"] == "cpu" else e["device"]
    versions = ", ".join(f"{name} {e[name]}" for name in LIBRARIES)
    commit = f", commit {e['commit']}{' and changes' if e['uncommitted_changes'] else ''}" if e["commit"] else ""
    return (
        f"{result['model']}, {result['dtype']}, {rounds} rounds; {where}, {e['threads']} of {e['cores']} cores, load"
        f" {e['load_average']:.1f} before the start; {versions}{commit}, {e['date']}."
    )
