"""Which conditions are refused: one check for all backends, before anything runs.

1. `check_conditions` needs no model: pieces, spans, options, donors, and layers and heads below 0.
2. `check_visibility` asks whether every row still sees a key, in every layer.
3. `check_model_fit` needs the model: its layers and heads, the keys that it selects, and its windows, in which fewer
   keys are visible.

For example of step 2, a sequence of 5 tokens whose last two rows may not see the positions 0 to 3::

    row 3    sees 0 1 2 3, all of them cut       refused: a softmax over nothing
    row 4    sees 0 1 2 3 4, and 4 is left       allowed; but in a layer with a window of 1, see below

    a window of w shows row i the positions i - w + 1 to i
"""

import sys
from collections.abc import Iterator, Sequence
from math import isfinite
from numbers import Integral

import numpy as np

from faithlens.errors import PlanError
from faithlens.model.lengths import list_selection_lengths
from faithlens.model.model import Model
from faithlens.plan.condition import Ablation, Condition, Edit, KeyValuePatch, Knockout, Overwrite, Patch, is_active
from faithlens.plan.marks import Cut, Stretch, list_stretches
from faithlens.plan.spellings import check_spellings


def check_conditions(conditions: Sequence[Condition], context_length: int | None) -> None:
    """Refuse conditions that have no meaning in any model, also among donors.

    Raises:
        PlanError: what is wrong with which condition.
    """
    for condition in list_with_donors(conditions):
        check_tokens(condition, context_length)
        for edit in condition.edits:
            check_edit(condition, edit)


def list_with_donors(conditions: Sequence[Condition]) -> Iterator[Condition]:
    """Each condition once, after its donors and their donors."""
    seen: set[Condition] = set()

    def walk(condition: Condition) -> Iterator[Condition]:
        if condition not in seen:
            seen.add(condition)
            for donor in condition.donors:
                yield from walk(donor)
            yield condition

    for condition in conditions:
        yield from walk(condition)


def check_tokens(condition: Condition, context_length: int | None) -> None:
    """Refuse a condition without tokens or options, or one that is too long.

    Raises:
        PlanError: what is missing, or how long the condition is.
    """
    if any(isinstance(option, int) for option in condition.options):
        raise PlanError(
            f"an option of condition {condition.name!r} must be a sequence of tokens, got a single token",
            "Write options of one token as ((7,), (8,)).",
        )
    if not condition.options or not all(condition.sequences) or not condition.n_tokens:
        fix = "Give the condition pieces with tokens, and at least one option."
        raise PlanError(f"condition {condition.name!r} has no tokens or no option to score", fix)
    check_spellings(condition)
    longest = condition.n_tokens + max(map(len, condition.sequences)) - 1
    if context_length is not None and longest > context_length:
        raise PlanError(
            f"condition {condition.name!r} has {longest} tokens, and the model reads at most {context_length}",
            "Shorten the prompt or the chain of thought, or use a model with a longer context.",
        )


def check_edit(condition: Condition, edit: Edit) -> None:
    """Refuse an edit that has no meaning in `condition`.

    Raises:
        PlanError: a piece that does not exist, a donor that does not match, keys that its readers cannot see, or layers
            and heads that no model has.
    """
    name = f"the {type(edit).__name__} of condition {condition.name!r}"
    check_places(name, "layers", edit.layers)
    if edit.layers is not None and not edit.layers:
        raise PlanError(f"{name} has no layers: layers=()", "Name layers from 0 on, or None for all.")
    if isinstance(edit, Knockout):
        condition.locate_reader(edit.reader, condition.n_tokens)
        for span in edit.read:
            condition.locate(span)
    elif isinstance(edit, KeyValuePatch):
        check_key_value_patch(name, condition, edit)
    else:
        check_overwrite(name, condition, edit)


def is_count(number: object) -> bool:
    """Whether `number` is a whole number from 0 on; True and False are none."""
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= 0


def check_counts(**numbers: int) -> None:
    """Refuse numbers of things that are no whole numbers from 0 on.

    Raises:
        PlanError: with the name of the number.
    """
    for name, number in numbers.items():
        if not is_count(number):
            raise PlanError(
                f"{name} must be a whole number of at least 0, got {number!r}", f"Pass a whole number for {name}."
            )


def check_places(name: str, what: str, numbers: Sequence[int] | None) -> None:
    """Refuse layers or heads that are no numbers from 0 on.

    Raises:
        PlanError: what was given, and what to write.
    """
    if numbers is None:
        return
    if not isinstance(numbers, tuple | range) or not all(map(is_count, numbers)):
        raise PlanError(
            f"{name} has {what}={numbers!r}, and {what} must be a tuple of numbers from 0 on",
            f"Name {what} from 0 on, such as {what}=(0, 1), or None for all.",
        )


def check_key_value_patch(name: str, condition: Condition, edit: KeyValuePatch) -> None:
    """Refuse keys that lie elsewhere in the donor, and keys that do not stand before the rows that read them.

    Raises:
        PlanError: where the keys and their readers are.
    """
    here, there = condition.locate(edit.read), edit.donor.locate(edit.read)
    if here != there:
        raise PlanError(
            f"{name} reads {edit.read!r}, which lies at positions {here} here and at {there} in the donor"
            f" {edit.donor.name!r}",
            "Choose a donor with as many tokens before and within it.",
        )
    start, stop = condition.locate_reader(edit.reader, condition.n_tokens)
    if start < stop and here[0] < here[1] and start < here[1]:
        raise PlanError(
            f"{name} lets the rows {start} to {stop - 1} of {edit.reader!r} read {edit.read!r} at positions {here},"
            " which does not end before them: a row sees the keys of earlier rows only",
            "Choose a reader whose rows stand after all that it reads.",
        )


def check_overwrite(name: str, condition: Condition, edit: Overwrite) -> None:
    """Refuse heads of what has no heads, numbers that give no value, and spans that do not match.

    Raises:
        PlanError: the heads, the number, or the lengths of the two spans.
    """
    check_places(name, "heads", edit.heads)
    if edit.heads is not None and edit.component != "z":
        raise PlanError(f"{name} names heads of component {edit.component!r}", "Name heads of component 'z' only.")
    here = condition.locate(edit.span)
    if isinstance(edit, Ablation):
        if not isfinite(edit.scale) or edit.seed < 0:
            raise PlanError(
                f"{name} must have a finite scale and a seed from 0 on, got scale={edit.scale} and seed={edit.seed}",
                "Give a scale such as 1.0, and a seed such as 0.",
            )
    elif isinstance(edit, Patch):
        if not isfinite(edit.amount):
            problem = f"{name} must have a finite amount, got {edit.amount}"
            raise PlanError(problem, "Give an amount such as 0.5.")
        there = edit.locate_source()
        if here[1] - here[0] != there[1] - there[0]:
            raise PlanError(
                f"{name} at {edit.span!r} has {here[1] - here[0]} tokens here and {there[1] - there[0]} in the"
                f" donor {edit.donor.name!r}",
                "Choose spans of as many tokens.",
            )


def check_visibility(
    condition: Condition, stretches: Sequence[Stretch], windows: Sequence[int | None] | None = None
) -> None:
    """Refuse knockouts that leave a row without any key to see.

    Args:
        condition: the condition.
        stretches: its rows, by their marks.
        windows: for each layer of the model, how many positions a row sees; None for all. Without it, every layer that
            a knockout names is checked.

    Raises:
        PlanError: the row, and the layer.
    """
    knockouts = [edit for edit in condition.edits if isinstance(edit, Knockout)]
    if windows is None:  # the layer -1 stands for all layers that no knockout names
        layers: dict[int, int | None] = dict.fromkeys((-1, *(n for edit in knockouts for n in edit.layers or ())))
    else:
        layers = dict(enumerate(windows))
    alike = {(*(is_active(e.layers, layer) for e in knockouts), window): layer for layer, window in layers.items()}
    for stretch in stretches:
        cuts = sorted((mark for mark in stretch.marks if isinstance(mark, Cut)), key=lambda cut: cut[1:])
        for (*_, window), layer in alike.items():
            # without a window, the first of these rows sees the fewest keys
            rows = np.arange(stretch.start, stretch.start + 1 if window is None else stretch.stop)
            end = np.zeros_like(rows) if window is None else np.maximum(0, rows + 1 - window)
            for cut in cuts:  # before `end`, all keys are hidden
                if is_active(cut.layers, layer):
                    end = np.where(cut.start <= end, np.maximum(end, cut.stop), end)
            if (end > rows).any():
                where = "" if layer < 0 else f" in layer {layer}"
                raise PlanError(
                    f"the knockouts of condition {condition.name!r} hide every key from the token at position"
                    f" {rows[end > rows][0]}{where}, and attention to nothing has no value",
                    "Leave each reader a position to attend to, such as its own.",
                )


def check_model_fit(model: Model, conditions: Sequence[Condition]) -> None:
    """Refuse edits of layers, heads and keys that the model does not have, and rows that see nothing in its windows.

    Raises:
        PlanError: the layer or head, and how many the model has; the length beyond which the model selects the keys
            that an edit names; or the row that sees nothing.
    """
    windows, n_heads = list_windows(model), getattr(model, "n_heads", 0)
    selected = min(list_selection_lengths(model.hf_model.config), default=sys.maxsize)
    narrowest = min((window for window in windows if window is not None), default=None)
    for condition in list_with_donors(conditions):
        longest = condition.n_tokens + max((len(sequence) - 1 for sequence in condition.sequences), default=0)
        for edit in condition.edits:
            if edit.layers and max(edit.layers) >= model.n_layers:
                raise PlanError(
                    f"an edit of condition {condition.name!r} names layer {max(edit.layers)}, and {model.name} has"
                    f" {model.n_layers} layers",
                    "Name layers from 0 on.",
                )
            heads = edit.heads if isinstance(edit, Overwrite) else None
            if heads and max(heads) >= n_heads:
                raise PlanError(
                    f"an edit of condition {condition.name!r} names heads {heads}, and {model.name} has {n_heads}"
                    " heads",
                    "Name heads from 0 on.",
                )
            if isinstance(edit, Knockout | KeyValuePatch) and longest > selected:
                raise PlanError(
                    f"condition {condition.name!r} of {longest} tokens hides or exchanges keys, but beyond {selected}"
                    f" tokens {model.name} sees only keys that it selects by their content, and hidden keys would still"
                    " take part in the selection",
                    f"Use conditions of at most {selected} tokens, or edit activations (Patch, Ablation) instead.",
                )
        hidden = count_hidden(condition)
        # `compile_plan` has looked at rows that see all; in a window, fewer hidden keys than it holds leave one
        if narrowest is not None and hidden and (hidden >= narrowest or model.structure.forbidden):
            for tail in {sequence[:-1] for sequence in condition.sequences}:
                check_visibility(condition, list_stretches(condition, model.structure, tail), windows)


def count_hidden(condition: Condition) -> int:
    """The most keys that the knockouts of a condition hide from a row."""
    spans = [condition.locate(span) for edit in condition.edits if isinstance(edit, Knockout) for span in edit.read]
    return sum(stop - start for start, stop in spans)


def list_windows(model: Model) -> list[int | None]:
    """For each layer, how many positions a row sees up to its own; None if it sees all."""
    config = model.hf_model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if not isinstance(window, int) or window < 1:  # a config may say anything of what its model does not use
        window = None
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * model.n_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]
