"""The figure in the README: every ratio that has a bar, with its rounds, on one scale."""

import plotly.graph_objects as go

from faithlens.commands.bench.table import Limit


def draw(results: dict[str, dict], bars: dict[str, dict[str, Limit]]) -> go.Figure:
    """Ratios as multiples of their bars, so that all fit one axis; right of 1 is better."""
    figure = go.Figure()
    for subject, judged in bars.items():
        for what, (which, bar) in judged.items():
            if what not in results.get(subject, {}).get("comparisons", {}):
                continue
            ratios = results[subject]["comparisons"][what]
            better = [(r / bar if which == "at least" else bar / r) if r > 0 else None for r in ratios["all"]]
            middle = ratios["median"] / bar if which == "at least" else bar / ratios["median"]
            name = f"{subject}: {what}<br><sup>{ratios['median']:.2f}, {which} {bar:g} wanted</sup>"
            visible = {"y": [name] * len(better), "mode": "markers", "showlegend": False}
            figure.add_scatter(x=better, **visible, marker={"color": "rgba(70,110,160,.45)", "size": 8})
            colour = "#2a7f4f" if middle >= 1 else "#b3402e"
            figure.add_scatter(x=[middle], **visible | {"y": [name]}, marker={"color": colour, "size": 12})
    figure.add_vline(x=1, line={"color": "#888", "dash": "dot"})
    ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8, 16]
    title = "times as good as the bar (1: met exactly; large dots are medians, small ones rounds)"
    figure.update_xaxes(title=title, type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_yaxes(autorange="reversed", tickfont={"size": 11})
    figure.update_layout(template="plotly_white", margin={"l": 20, "r": 20, "t": 20, "b": 50})
    return figure
