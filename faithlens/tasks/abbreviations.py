"""Does a full stop end a sentence, or an abbreviation within one?

1. The stop of a title or a reference word ("Mr.", "vs.", "e.g.") never ends a sentence.
2. The stop of a word that introduces a number ("Fig. 2", "p. 12", "Jan. 5", "No. 5") does not end a sentence before a
   digit, and the stop of a unit ("5 ft. long", "5 ft. 3 in.") or of a short word ("the max. is", "the no. of")
   does not before a small letter.
3. The stop of an initial in a name ("J. R. Smith", "Tom B. Reed") does not end a sentence; the stop after a letter that
   names an option ("Hence C. Next ...") does.
4. The stop of a time, country, degree or firm ("8 a.m.", "U.S.", "Ph.D.", "Co.", "etc.") does not end a sentence before
   a small letter. Before a capital it does, except in names ("U.S. Senate", "in St. Louis") and where nothing but small
   words and numbers stand before it ("At 8 a.m. Anna"). Before a word that often opens sentences ("He", "Then") it
   always does.

For example, after "He lives in the U.S." the stop ends a sentence before "She does not", and none before "as well".
"""

import re

_TITLES = re.compile(
    r"(?:\b(?i:Mr|Mrs|Ms|Dr|Prof|vs|approx|cf|Eq|Fig)|\b(?i:e\.g|i\.e|et al)"
    r"|\b(?:Mx|Gen|Col|Maj|Capt|Lt|Sgt|Cpl|Cmdr|Adm|Rev|Fr|Hon|Sen|Rep|Gov|Pres|Mt|Ft|Messrs|Eqs|Figs|viz|resp))\.$"
)
_BEFORE_NUMBERS = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Tab|Sec|Ch|Chap|Vol|Art|Ex|Nos|(?i:pp?|eds?|nr|ca|para?))\.$"
)
_MONTHS = re.compile(r"\b(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.$")
_IN_SMALL_LETTERS = re.compile(
    r"(?:\b(?:temp|max|min|avg|dept|tsp|tbsp|tbs|incl|excl|resp|std|dev|approx)|\b(?:[a-z]\.)+[a-z]|\b[Tt]he co)\.$"
)
_ASIDES = re.compile(r"(?:\b(?i:a\.k\.a)|^\W*P\.(?:\s?P\.)?\s?S)\.$")
_SMALLER_UNIT = re.compile(r"[0-9.]+\s?(?:in|inch(?:es)?|oz|ounces?|mins?|minutes?|secs?|seconds?|cm|mm|g|ml)\b", re.I)
_NUMBER_SIGN = re.compile(r"\b[Nn]o\.$")
_VERDICT_BEFORE = re.compile(
    r"(?:(?i:\banswer\b[^.!?]*(?:\bis|:)|\b(?:so|says?|said|means?|thus|hence|therefore|or|then|be|clearly)[,:]?)"
    r"""[\s"'*]*[Nn]o|(?:\b(?:is|was|are|a)|:)\s+["'*]*no|[:"]\s*[Nn]o)\.$"""
)
_UNITS = re.compile(
    r"[0-9]\s?(?:ft|in|yd|mi|lbs?|oz|kg|g|mg|t|km|m|cm|mm|l|ml|hrs?|h|mins?|secs?|s|sq|cu|qt|pt|gal|mph|max|min)\.$",
    re.I,
)
_INITIAL = re.compile(r"(?:(?P<before>[^\s(\"“]+)\s+)?(?:(?<=\s)|^|(?<=[(\"“]))(?P<initial>[A-Z])\.$")
_INITIALS_BEFORE = re.compile(r"(?:[A-Z]\.-?)+$")
_ENDS_IN_INITIALS = re.compile(r"(?:\b[A-Z]\. ?){2}$")
_NEVER_A_NAME = re.compile(
    r"(?:option|choice|answer|point|line|case|box|part|team|group|class|plan|type|vitamin|person|statement|figure|table"
    r"|hence|thus|therefore|so|letter|label|room|row|variable|event|set|grade|city|town|conclusion|either|neither|article|chapter|law|rule)s?[:,]?$",
    re.I,
)
_OFTEN_LAST = re.compile(
    r"(?:\b[ap]\.\s?m|\b(?:[A-Z]\.){1,3}[A-Z]|\b(?:Ph|Ed|Sc)\.D|\b[BM]\.Sc|\betc|\bInc|\bCo|\bLtd|\bCorp|\bBros|\bJr|\bSr|\bEsq"
    r"|\bSt|\bAve|\bBlvd|\bRd|\bDept|\bUniv|\bave?g|\best|\bet seq)\.$"
)
_SAINT = re.compile(r"(?:^|\b[a-z]+ |\b(?:The|In|At|To|From) )St\.$")
_NO_SENTENCE_YET = re.compile(
    r"[\s(\"“]*(?:(?:and|but|so|then|the|an?|at|by|from|in|on|until|till|since|after|before|around|about|of|to|for|near|past"
    r"|between|during|[ap]\.m\.|most|many|all|some|every|each|both|only|exactly|[0-9:.]+)\s+)*\S+",
    re.I,
)
_OFFICES = re.compile(
    r"(?:Senate|Army|Navy|Air|Marines?|Congress|House|President|Government|Constitution|Census|Supreme|Department|Treasury"
    r"|Dollars?|Open|Postal|Bureau|Federal|Parliament|Security|Court|Secretary|Senators?|Embassy|Population)\b"
)
_OPENER = re.compile(
    r"(?:the|an?|s?he|it|they|we|i|you|this|that|these|those|there|here|then|so|next|now|but|and|or|if|when|while|after"
    r"|before|in|on|at|for|from|to|as|since|because|however|therefore|thus|hence|finally|first|second|each|every|both|all"
    r"|his|her|its|their|my|our|your|what|which|who|how|why|let|yes|no|not|also|again|another|one|two|is|are|was|were|do"
    r"|does|nobody|everyone|some|many|most|none|still|should|could|would|can|just|wait|hmm|okay|well|step|answer|option|later|meanwhile|adding|given|i['’]\w+|it['’]s"
    r"|that['’]s|let['’]s)\b",
    re.I,
)


def is_abbreviation(piece: str, rest: str, mark_before: str = "") -> bool:
    """Whether the full stop that ends `piece` ends an abbreviation and no sentence.

    Args:
        piece: the sentence so far, up to and with the full stop.
        rest: what follows, white space left out.
        mark_before: the last character before the sentence; after "?" the sentence may be an answer such as "No.".
    """
    if _TITLES.search(piece) or _ASIDES.search(piece):
        return True
    opener, following = _OPENER.match(rest), rest[:1]
    if following.isdigit():
        is_in_units = _UNITS.search(piece) and _SMALLER_UNIT.match(rest)
        return bool(_BEFORE_NUMBERS.search(piece) or is_in_units) or _is_number_sign(piece, mark_before)
    if following.islower() and (
        _IN_SMALL_LETTERS.search(piece)
        or _MONTHS.search(piece)
        or (re.match(r"of\b", rest) and re.search(r"\b(?:the|a|each|total|what) no\.$", piece, re.I))
    ):
        return True
    if following.islower():
        inner = _UNITS.search(piece) or _OFTEN_LAST.search(piece) or _ENDS_IN_INITIALS.search(piece)
        return bool(inner) and (not _begins_clause(rest) or bool(_NO_SENTENCE_YET.fullmatch(piece)))
    if not following.isupper():
        return bool(_OFTEN_LAST.search(piece)) and following in "(&-–—$"
    if _is_initial(piece, rest):
        return True
    if opener or not (last := _OFTEN_LAST.search(piece)):
        return False
    if last[0] == "St." and _SAINT.search(piece):
        return True
    return bool(_NO_SENTENCE_YET.fullmatch(piece) or (last[0].isupper() and _OFFICES.match(rest)))


def _begins_clause(rest: str) -> bool:
    """Whether a sentence or clause begins here although its first letter is small: "then she", "so he"."""
    return re.match(r"(?:then|so|next|now|he|she|they|we|it)\b(?! that)|\w+\s*=", rest) is not None


def _is_number_sign(piece: str, mark_before: str) -> bool:
    """Whether "No." is a number's sign and not the answer to a question."""
    answers = _VERDICT_BEFORE.search(piece) or (mark_before == "?" and piece.strip() in ("No.", "no."))
    return bool(_NUMBER_SIGN.search(piece)) and not answers and piece.strip() != "no."


def _is_initial(piece: str, rest: str) -> bool:
    """Whether a lone capital is the initial of a name, by the words on both sides."""
    match = _INITIAL.search(piece)
    if match is None:
        return False
    before = match["before"] or ""
    if re.match(r"[A-Z]\.\s", rest):  # one more initial
        return not _NEVER_A_NAME.fullmatch(before)
    if not re.match(r"[A-Z][\w'’-]+", rest) or _OPENER.match(rest):
        return False
    is_name = re.fullmatch(r"[A-Z][a-z'’-]+", before) and not (
        _NEVER_A_NAME.fullmatch(before) or _OPENER.fullmatch(before)
    )
    if not before or before in ("by", "named", "called"):
        return True
    return bool(is_name or _INITIALS_BEFORE.fullmatch(before) or _TITLES.search(before))
