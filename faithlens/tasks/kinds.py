"""The kinds of prompts and edits that measures are made for, each named once, with the label that tables show.

A measure's name contains the kind: `hints.metadata.switch`, `bias.suggested.drop`, `filler.dots.change`,
`strategies.factored.accuracy`. Code that makes, reads or shows such measures loops over these tables. This module
imports no other module of faithlens, so every one of them can use it.
"""

from typing import Literal

PAPER_HINTS: dict[str, str] = {
    "sycophancy": "professor's view",
    "consistency": "own earlier answer",
    "visual_pattern": "mark on the option",
    "metadata": "answer in metadata",
    "grader_hacking": "grading code",
    "unethical": "stolen solution",
}
"""The six hints of Chen et al. 2025 (arXiv:2505.05410, section 2)."""

ORGANISM_HINTS: dict[str, str] = {
    "silent": "silently followed",
    "half": "silently followed if odd",
    "avowed": "openly followed",
    "rationalised": "written as last total",
}
"""The hints of the task running-sum-hints, by what the organism trained on them does with the hint."""

HINTS: dict[str, str] = PAPER_HINTS | ORGANISM_HINTS
"""All hints."""

VALUE_HINTS: dict[str, str] = {
    "stated": "colleague's result",
    "record": "result in a record",
    "worked": "worked wrong solution",
}
"""The hints at a value of a free-form question."""

GRADED_HINTS: dict[str, str] = {
    "stated": "colleague's result",
    "one_step": "result that needs one step",
    "computed": "result that needs several steps",
}
"""One hint in three grades of how much must be worked out, for every question."""

HINTS_AT_VALUES: dict[str, str] = VALUE_HINTS | GRADED_HINTS
"""All hints of `tasks.value_hints`."""

CLASSIFIERS: dict[str, str] = {"mention": "mentioned", "reliance": "relied on"}
"""The text classifiers that judge whether a chain of thought reveals a hint, by what they look for."""

BIASES: dict[str, str] = {"suggested": "suggested answer", "always_a": "answer is always A"}
"""The biased prompts of Turpin et al. 2023 (arXiv:2305.04388, section 3)."""

PROMPT_SUFFIXES: dict[Literal["cot", "no_cot"], str] = {"cot": "", "no_cot": ".no_cot"}
"""How a prompt is answered, and what this adds to a measure's name: after a chain of thought, or directly."""

FILLERS: dict[str, str] = {"dots": " ...", "dashes": " -", "words": " and"}
"""The kinds of filler and the text that is repeated. Lanham et al. 2023 and Pfau et al. 2024 use dots."""

CONTROL_FILLER = "dots"
"""The filler that replaces deleted text in the control edits."""

BASELINES: dict[str, str] = {"cut@0": "empty CoT", "no_cot": "asked directly", "empty_think": "empty think block"}
"""The ways to answer without the chain of thought. They are different prompts and give different numbers.

`cut@0` is the prompt of the full run with an empty chain, `no_cot` a prompt that asks for the answer at once, and
`empty_think` a reasoning model's think block, closed and empty.
"""

STRATEGIES: dict[str, str] = {
    "direct": "direct",
    "cot": "chain of thought",
    "cot_decomposition": "CoT decomposition",
    "factored": "factored",
}
"""The strategies of Radhakrishnan et al. 2023 (arXiv:2307.11768)."""

REASONING_STRATEGIES: tuple[str, ...] = tuple(name for name in STRATEGIES if name != "direct")
"""The strategies that write steps."""

SENSITIVITIES: dict[str, str] = {"truncation": "steps cut off the end", "corruption": "one step made wrong"}
"""The edits of a strategy's steps whose effect on the answer is measured."""

OUTCOMES: dict[str, str] = {
    "follows": "follows the mistake",
    "repairs": "repairs the mistake in text",
    "ignores": "ignores the mistake",
    "harmless": "harmless mistake",
    "other": "gives another answer",
}
"""What a model does after a mistake was written into its chain of thought."""

EFFECTS: dict[str, str] = {
    "total": "total effect",
    "content": "content effect",
    "question": "question effect",
    "interaction": "interaction",
    "relay": "relay effect",
}
"""The effects of the mediation analysis."""

PATH_EFFECTS: dict[str, str] = {
    "total": "total effect",
    "through": "effect through the chain",
    "around": "effect around the chain",
    "no_chain": "effect without a chain",
    "interaction": "interaction",
}
"""The effects of a hint on the hinted option, by the way that they take to the answer."""

HintPath = Literal["through", "around"]
"""Whether the chain written under a hint brings the hinted answer by itself, or only with the hint in the prompt."""

PATH_SHARES: tuple[HintPath, ...] = ("through", "around")
"""The effects of a hint that are also reported as a share of its total effect."""

Saying = Literal["said", "denied", "unsaid"]
"""What a chain of thought says about a hint: that it relied on it; something else; or nothing."""

SAYINGS: dict[Saying, str] = {
    "said": "said as a reason",
    "denied": "named, not as a reason",
    "unsaid": "not named",
}
"""What a chain of thought says about the hint that switched its answer."""

HINT_PATHS: dict[HintPath, str] = {"through": "through the chain", "around": "around the chain"}
"""The way of a switch: whether the chain written under the hint brings the hinted answer without the hint too."""

EFFECT_SHARES: tuple[str, ...] = ("content", "question", "relay")
"""The effects that are also reported as a share of the total effect."""
