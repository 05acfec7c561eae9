"""Figures of probes and agreements draw their tables' numbers."""

import numpy as np
import pandas as pd

from faithlens.report import internals


def drawn(x) -> list[float]:
    return np.array(x, dtype=float).tolist()


def test_a_probe_is_drawn_with_its_band_and_its_baselines() -> None:
    table = pd.DataFrame(
        {"layer": [0, 1], "value": [0.5, 0.9], "low": [0.4, 0.8], "high": [0.6, 1.0], "text": 0.3, "prior": 0.2}
    )
    band, probe, tokens, frequencies = internals.probe_by_layer(table, "accuracy").data
    assert drawn(band.y) == [0.6, 1.0, 0.8, 0.4]
    assert drawn(probe.y) == [0.5, 0.9]
    assert [drawn(line.y) for line in (tokens, frequencies)] == [[0.3, 0.3], [0.2, 0.2]]


def test_agreements_are_drawn_with_their_intervals() -> None:
    columns = {"correlation": ["raw", "partial on step"], "value": [0.5, 0.1], "low": [0.25, -0.4], "high": [0.75, 0.6]}
    figure = internals.agreements({"a": pd.DataFrame(columns), "b": pd.DataFrame(columns)}, "partial on step")
    raw, partial = figure.data
    assert drawn(raw.y) == [0.5, 0.5]
    assert drawn(raw.error_y.array) == [0.25, 0.25]
    assert drawn(partial.error_y.arrayminus) == [0.5, 0.5]
