"""The axis dictionary: every name a jaxtyping shape in faithlens may use.

A test reads the shapes of the whole package and refuses a name that is not here.
"""

AXES: dict[str, str] = {
    "pos": "token positions of one sequence, or of one packed row, in order",
    "tile": "one tile of keys that a block of queries meets",
    "border": "one border between neighbouring stretches of a list",
    "query": "the positions that attend, a subset or all of pos",
    "key": "the positions attended to",
    "row": "packed positions that are read: one per captured query",
    "head": "attention heads",
    "kv_head": "key/value heads; each serves head / kv_head query heads",
    "layer": "transformer blocks, 0 .. n_layers - 1",
    "d_head": "width of one attention head",
    "d_value": "width of one head's values, where it may be another than that of its keys",
    "span": "named stretches of tokens: prompt, step 0, step 1, ...",
    "cut": "hidden depth intervals of one query",
    "graft": "packed intervals that one query sees beyond its ancestors",
    "two": "the two ends (start, stop) of a half-open interval",
    "option": "answer options, in the question's order",
    "choice": "tokens whose log-probabilities are read at one row",
    "d_model": "width of the residual stream; of z, all heads side by side",
    "source": "rows that an edit's values come from",
    "reading": "readers whose attention is pooled, one for each condition and reader",
    "vocab": "tokens of the vocabulary",
    "comparison": "cosine, relative distance and dot product of two rows",
    "condition": "edited versions of one trace",
    "step": "reasoning steps, 0 .. n_steps - 1",
    "number": "numbers in a chain of thought: those it works with, then those it states",
    "trace": "traces whose effects are measured together",
    "question": "questions of one task",
    "batch": "independent sequences in one forward",
}
