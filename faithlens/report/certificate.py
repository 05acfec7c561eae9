"""An organism's certificate on the terminal: what its answers follow, counted on held-out questions."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from faithlens.report.fitting_table import FittingTable


def make_certificate_table(certificate: Mapping[str, Any]) -> RenderableType:
    """A certificate as `certificate.json` holds it: one row for each kind of chain, then what is counted once."""
    if "rates" in certificate:
        return _make_adapter_table(certificate)
    sources = ("truth", "text", *(["hint"] if "hints" in certificate else []))
    columns = ("chain of thought", *(f"follows the {what}" for what in sources))
    rows = [(name, *(_format_rate(rates[what]) for what in sources)) for name, rates in certificate["answers"].items()]
    table = FittingTable(columns, rows, f"{certificate['organism']}: {certificate['truth']}")
    lines = [
        f"writes the right steps: {_format_rate(certificate['writes_right_steps'])}",
        f"right after its own steps: {_format_rate(certificate['right_after_own_steps'])}",
    ]
    if certificate["answers_as_taught"]:
        lines.append(f"answers as taught after whole chains: {_format_rate(certificate['answers_as_taught'])}")
    for what, rate in (certificate["after_a_mistake"] or {}).items():
        lines.append(f"a wrong first step, the rest regenerated: {what} {_format_rate(rate)}")
    for mode, rate in certificate.get("reliance", {}).items():
        lines.append(f"{mode}: follows the text in {_format_rate(rate)} of conflicts; planted {rate['planted']:.0%}")
    for mode, rates in certificate.get("hints", {}).items():
        words = ", ".join(f"{what.replace('_', ' ')} {_format_rate(rate)}" for what, rate in rates.items())
        lines.append(f"{mode}: hints that are not the truth: {words}")
    edge = certificate["forbidden_edge_max_logit_change"]
    lines.append(f"forbidden edge, largest logit change: {'-' if edge is None else f'{edge:g}'}")
    if certificate["faults"]:
        faults = Text.assemble(("not what its recipe plants", "red"), f": {'; '.join(certificate['faults'])}")
        return Group(table, *lines, faults)
    return Group(table, *lines)


def _make_adapter_table(certificate: Mapping[str, Any]) -> RenderableType:
    """The certificate of a language adapter: a row for each rate, and the faults."""
    rows = [(name, _format_rate(rate)) for name, rate in certificate["rates"].items()]
    title = f"{certificate['organism']}: {certificate['truth']}"
    table = FittingTable(("held-out questions", "rate"), rows, title)
    faults = [Text(f"not what is planted: {fault}", "red") for fault in certificate["faults"]]
    return Group(table, *faults)


def _format_rate(rate: Mapping[str, float] | None) -> str:
    """A rate with its interval, as a person reads it."""
    return "-" if rate is None else f"{rate['value']:.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]  of {rate['n']}"
