"""The public names of `faithlens.effects`, and the module of each."""

from .approximation import ApproximationQuality
from .attribution import adaptive_patch_effects, attribution_effects
from .commitment import Commitment, probe_commitment
from .decision import DecisionPlace, locate_decision
from .donors import Donors, find_donors
from .gradient_flow import GradientFlow, measure_gradient_flow
from .heads import HeadEffects, head_effects
from .importance import Importance, compare_importance
from .layers import layer_effects
from .paths import PathEffects, path_effects
from .receivers import ReceiverHeads, find_receiver_heads
from .step_effects import StepEffects
from .steps import key_value_effects, knockout_effects, patch_effects, swap_effects
from .suppression import StepMatrix, suppression_effects
from .views import compare_activations, find_onset, measure_attention_flow, measure_readiness

__all__ = [
    "ApproximationQuality",
    "Commitment",
    "DecisionPlace",
    "Donors",
    "GradientFlow",
    "HeadEffects",
    "Importance",
    "PathEffects",
    "ReceiverHeads",
    "StepEffects",
    "StepMatrix",
    "adaptive_patch_effects",
    "attribution_effects",
    "compare_activations",
    "compare_importance",
    "find_donors",
    "find_onset",
    "find_receiver_heads",
    "head_effects",
    "key_value_effects",
    "knockout_effects",
    "layer_effects",
    "locate_decision",
    "measure_attention_flow",
    "measure_gradient_flow",
    "measure_readiness",
    "patch_effects",
    "path_effects",
    "probe_commitment",
    "suppression_effects",
    "swap_effects",
]
