from plotly.graph_objects import Figure

def make_subplots(
    rows: int = ...,
    cols: int = ...,
    *,
    subplot_titles: list[str] = ...,
    shared_yaxes: bool = ...,
    horizontal_spacing: float = ...,
) -> Figure: ...
