"""The public names of `faithlens.figures`, and where each lives."""

from .audit import (
    plot_answer_by_cut,
    plot_answer_by_knockout,
    plot_answers,
    plot_attention_by_head,
    plot_attention_by_piece,
    plot_attention_by_step,
    plot_decision_grid,
    plot_early_answering,
    plot_mediation,
    plot_mistakes,
)
from .behaviour import plot_retention_curves, plot_strategies
from .chain_text import plot_shaded_steps
from .detection import plot_detection_by_model, plot_detection_by_organism
from .hint_paths import plot_hint_paths
from .internals import (
    plot_agreement,
    plot_decision,
    plot_head_heatmap,
    plot_probe_by_layer,
    plot_readiness,
    plot_step_bars,
    plot_step_groups,
    plot_step_heatmap,
    plot_step_matrix,
)
from .path_diagram import plot_path_diagram
from .scaling import plot_size_effects, plot_sizes

__all__ = [
    "plot_agreement",
    "plot_answer_by_cut",
    "plot_answer_by_knockout",
    "plot_answers",
    "plot_attention_by_head",
    "plot_attention_by_piece",
    "plot_attention_by_step",
    "plot_decision",
    "plot_decision_grid",
    "plot_detection_by_model",
    "plot_detection_by_organism",
    "plot_early_answering",
    "plot_head_heatmap",
    "plot_hint_paths",
    "plot_mediation",
    "plot_mistakes",
    "plot_path_diagram",
    "plot_probe_by_layer",
    "plot_readiness",
    "plot_retention_curves",
    "plot_shaded_steps",
    "plot_size_effects",
    "plot_sizes",
    "plot_step_bars",
    "plot_step_groups",
    "plot_step_heatmap",
    "plot_step_matrix",
    "plot_strategies",
]
