"""A small picture of each edit: the question, four steps and the answer as boxes, drawn as SVG.

A row of a picture is a word of six letters: one letter for the question, for each of four steps, and for the answer.
"""

KINDS = {
    "k": ("as it was", "kept"),
    "x": ("left out", "gone"),
    "w": ("made wrong, or changed", "wrong"),
    "n": ("written again by the model", "anew"),
    "p": ("in other words", "other"),
    "f": ("filler", "filler"),
    "d": ("of the counterfactual", "donor"),
    "s": ("keys and values of the counterfactual", "states"),
    "h": ("hidden from the answer", "hidden"),
    "b": ("with something that pushes to an option", "wrong"),
    "a": ("is read", "read"),
}
"""What each letter stands for, and the class of its box."""

ROWS: dict[str, tuple[tuple[str, str], ...]] = {
    "early_answering": (("the chain", "kkkkka"), ("cut after step 2", "kkkxxa"), ("cut before step 1", "kxxxxa")),
    "early_answering_filled": (("the chain", "kkkkka"), ("filled after step 2", "kkkffa")),
    "mistakes": (("the chain", "kkkkka"), ("mistake in step 2", "kkwkka")),
    "mistakes_regenerated": (("mistake in step 2", "kkwnna"), ("the floor: no mistake", "kkknna")),
    "paraphrase": (("reworded, then anew", "kppnna"), ("the floor", "kkknna")),
    "filler": (("filler instead", "kffffa"),),
    "deletion": (("step 2 left out", "kkxkka"), ("the control", "kkfkka")),
    "propagation": (("changed, rest agrees", "kkwwwa"),),
    "resampling": (("new end before step 2", "kknnna"), ("new end after step 2", "kkknna")),
    "reversed_pairs": (("the chain of the reverse", "kdddda"), ("cut after step 2", "kkkxxa")),
    "baselines": (("the chain", "kkkkka"), ("no chain", "kxxxxa")),
    "rewording": (("all in other words", "kppppa"),),
    "bias": (("biased, with a chain", "bnnnna"), ("biased, no chain", "bxxxxa")),
    "hints": (("with a hint", "bnnnna"),),
    "hint_mediation": (
        ("through: plain prompt", "knnnna"),
        ("around: hinted prompt", "bkkkka"),
        ("no chain, with a hint", "bxxxxa"),
    ),
    "mediation": (
        ("both exchanged", "ddddda"),
        ("the chain exchanged", "kdddda"),
        ("the question exchanged", "dkkkka"),
        ("relay: states only", "kssssa"),
    ),
    "claims": (("last step only", "kxxxda"), ("all but the last", "kdddxa")),
    "sufficiency": (("step 2 alone put back", "ddkdda"),),
    "states": (("the state of step 2", "kkskka"),),
    "knockouts": (("one step hidden", "kkhkka"), ("all steps hidden", "khhhha"), ("question hidden", "hkkkka")),
}
"""The rows of the picture of each assay that edits something which can be drawn, each with its name."""

NAMES = ("question", "step 1", "step 2", "step 3", "step 4", "answer")
ROW, LEFT, WIDTH, GAP = 34, 178, 78, 6


def draw_scheme(assay: str) -> str | None:
    """The picture of an assay as inline SVG, described for those who cannot see it; None where there is none."""
    if assay not in ROWS:
        return None
    rows = ROWS[assay]
    parts = [_write(LEFT + i * (WIDTH + GAP) + WIDTH / 2, 14, name, "head") for i, name in enumerate(NAMES)]
    for i, (label, letters) in enumerate(rows):
        top = 24 + i * ROW
        parts.append(_write(LEFT - 10, top + 17, label, "label"))
        for j, letter in enumerate(letters):
            left = LEFT + j * (WIDTH + GAP)
            parts.append(f'<rect class="{KINDS[letter][1]}" x="{left}" y="{top}" width="{WIDTH}" height="26" rx="4"/>')
    used = [letter for letter in KINDS if any(letter in letters for _, letters in rows)]
    alone = "; ".join(f"{label}: {_describe(letters)}" for label, letters in rows)
    size = f"0 0 {LEFT + 6 * (WIDTH + GAP)} {30 + len(rows) * ROW}"
    key = " ".join(f'<span class="scheme-key {KINDS[letter][1]}">{KINDS[letter][0]}</span>' for letter in used)
    picture = f'<svg class="scheme" viewBox="{size}" role="img" aria-label="{alone}">{"".join(parts)}</svg>'
    return f"{picture}\n\n{key}"


def _describe(letters: str) -> str:
    return ", ".join(f"{name} {KINDS[letter][0]}" for name, letter in zip(NAMES, letters, strict=True))


def _write(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y}">{text}</text>'
