"""Whether the steps of a running sum follow: what each states, what its words do, and what the question asks for.

1. A step states a total, its last digit but for words that say where the total comes from (`numbers.hide_reasons`), and
   names the amounts that lead to it.
2. The steps are checked in the order of the question: from the total before and the amounts that are due, modulo ten,
   the stated total must follow, and where the words say what is done ("add 6"), it must be what the question does.
3. Where a step does not follow, the numbers may have been added in another order: then every step must name all that it
   adds, and the last total must hold each number of the question once.

For example, for 5, 6 and 2 the steps "Add 6 to get 1." and "Add 2 to get 3." follow in order, "6 + 2 = 8." and
"5 + 8 = 3." in another order, and "Take 6 away to get 1." does not follow.
"""

import re
from collections.abc import Iterable, Sequence, Set

from faithlens.tasks.derivation import FOLLOWS, SAYS_NOTHING
from faithlens.tasks.numbers import hide_reasons
from faithlens.tasks.question import StepCheck
from faithlens.tasks.statements import is_denied_or_supposed

_LAST_DIGIT = re.compile(r"\d(?=\D*$)")
_MODULO = re.compile(
    r"\b(?:mod(?:ulo)?|(?:minus|less|without|drop(?:s|ping)?|subtract(?:s|ing)?)(?: the)?)\s+10\b"
    r"|(?<=\d)\s*[-−–]\s*10\b"
)
"""How a step says that only the last digit is kept."""
_ADDS = re.compile(r"(?:\b(?:plus|add(?:s|ed|ing)?|gain(?:s|ed|ing)?)\s+|\+\s*)(\d+)|\b(\d+)\s+more\b", re.I)
_TAKES_AWAY = re.compile(
    r"(?:\b(?:minus|subtract(?:s|ed|ing)?|remov(?:e|es|ed|ing)|los(?:e|es|t|ing)|deduct(?:s|ed|ing)?)\s+"
    r"|(?<=\d)\s*[-−–]\s*)(\d+)|\b(\d+)\s+(?:[a-z]+\s+){0,2}?(?:away|off|less|fewer)\b",
    re.I,
)


def read_total(step: str) -> str | None:
    """The total that a step states: its last digit, but for words that say where the total comes from."""
    match = _LAST_DIGIT.search(hide_reasons(step))
    return None if match is None else match[0]


def replace_total(step: str, total: str) -> str:
    """`step` with another total where it states one."""
    match = _LAST_DIGIT.search(hide_reasons(step))
    return step if match is None else step[: match.start()] + total + step[match.end() :]


def read_step_numbers(step: str) -> list[int]:
    """The numbers of a step, the total that it states last, without the ten of "modulo 10" or "minus 10"."""
    bare = _MODULO.sub("", step)
    numbers = list(re.finditer(r"\d+", bare))
    last = _LAST_DIGIT.search(hide_reasons(bare))
    return [int(match[0]) for match in sorted(numbers, key=lambda match: bool(last) and match.end() == last.end())]


def check_running_totals(
    amounts: Sequence[int], steps: Sequence[str], signs: Sequence[int] | None = None
) -> list[StepCheck]:
    """Whether each step's total follows from the total before it and the amounts that it names, modulo ten.

    The first number of a chain is the start. A step names the amounts that it adds, then the total that it states. It
    may restate the total before them ("5 + 6 = 1", after 5), and the sum that it reduces ("6 more make 11, so 1"). A
    step with one number states a total again. A step without numbers says nothing, and neither does one that lists all
    numbers of the question before the first total.

    Where a step says what it does with an amount ("add 6", "take 6 away"), that must be what the question does. What is
    denied or supposed leaves the step unread.

    The numbers may also be added in another order, where each step names all that it adds ("6 + 2 = 8", "5 + 8 = 3").
    An amount of 0 may be left out.

    Args:
        amounts: the numbers of the question in their order, the first one the start.
        steps: the steps of a chain.
        signs: for each amount whether the question adds it (1) or takes it away (-1). Default: added.
    """
    changes = [sign * amount for sign, amount in zip(signs or [1] * len(amounts), amounts, strict=True)]
    checks = _check_in_order(amounts, changes, steps)
    if any(check.verdict == "does not follow" for check in checks):
        return _check_sums(changes, steps) or checks
    return checks


def _check_in_order(amounts: Sequence[int], changes: Sequence[int], steps: Sequence[str]) -> list[StepCheck]:
    """The checks of a chain that goes through the numbers of the question in their order."""
    checks: list[StepCheck] = []
    total: int | None = None
    used = _pass_zeros({1}, changes)  # how many amounts may be done so far: "0 + 0 = 0" can name one or two
    for step in steps:
        numbers = read_step_numbers(step)
        if not numbers or (total is None and numbers == list(amounts)):
            checks.append(SAYS_NOTHING)
            continue
        check = FOLLOWS
        if total is None:
            total, *numbers = numbers
            if total != amounts[0]:
                problem = f"the question starts at {amounts[0]}, and the step states {total}"
                check = StepCheck("does not follow", problem)
        if numbers:
            stated, readings = numbers[-1] % 10, _list_readings(numbers, total)
            fit = [(n, named) for n in used for named in readings if named == list(amounts[n : n + len(named)])]
            due = {n + len(named): (total + sum(changes[n : n + len(named)])) % 10 for n, named in fit}
            right = {n for n, value in due.items() if value == stated}
            if check is FOLLOWS and not right:
                named, truth = readings[0], list(amounts[min(used) :][: len(readings[0])])
                problem = f"the step uses {named}, and the question gives {truth} there"
                if due:
                    problem = f"the step states {stated}, and {due[min(due)]} follows"
                check = StepCheck("does not follow", problem)
            contrary = [_find_contrary_words(step, changes[n : n + len(named)]) for n, named in fit]
            if check is FOLLOWS and contrary and all(contrary):
                check = StepCheck("does not follow", f"{contrary[0]!r} is not what the question does")
            elif check is FOLLOWS and is_denied_or_supposed(step):
                check = StepCheck("unread", "the step denies or supposes something")
            used = _pass_zeros(right or set(due) or {n + len(readings[0]) for n in used}, changes)
            total = stated
        checks.append(check)
    if len(amounts) not in used and max(used) < len(amounts) and any(check is FOLLOWS for check in checks):
        problem = f"the steps use {max(used)} of the {len(amounts)} numbers of the question"
        checks[-1] = StepCheck("does not follow", problem)
    return checks


def _pass_zeros(used: Set[int], changes: Sequence[int]) -> set[int]:
    """How many amounts may be done if those many are: an amount of 0 changes no total, so it needs no step."""
    done = set(used)
    for n in range(len(changes)):
        if n in done and changes[n] == 0:
            done.add(n + 1)
    return done


def _check_sums(changes: Sequence[int], steps: Sequence[str]) -> list[StepCheck] | None:
    """The checks of a chain that adds the numbers of the question in any order, each once; None if one is wrong.

    Every step names what it adds: numbers of the question, or totals of steps before. A step with one number repeats
    the last total. The last total must hold all numbers of the question.
    """
    known = {(change, frozenset([i])) for i, change in enumerate(changes)}
    checks: list[StepCheck] = []
    totals: list[tuple[int, frozenset[int]]] = []  # the last total; equal numbers leave open which of them it holds
    for step in steps:
        numbers = read_step_numbers(step)
        if not numbers:
            checks.append(SAYS_NOTHING)
            continue
        *named, stated = numbers
        sums = [each for each in (_list_sums(named, known) if named else totals) if (each[0] - stated) % 10 == 0]
        sums = [each for each in sums if not _find_contrary_words(step, [changes[i] for i in each[1]])]
        if not sums or is_denied_or_supposed(step):
            return None
        totals = [(value, terms) for _, terms in sums for value in {stated, stated % 10}]
        known |= {*totals}
        checks.append(FOLLOWS)
    needed = {i for i, change in enumerate(changes) if change}  # 0 changes no total, so it needs no step
    return checks if any(needed <= terms for _, terms in totals) else None


def _list_sums(named: Sequence[int], known: Iterable[tuple[int, frozenset[int]]]) -> list[tuple[int, frozenset[int]]]:
    """The sums of these numbers, each with the numbers of the question that it holds: no number twice."""
    sums = {(0, frozenset[int]())}
    for number in named:
        sums = {
            (total + number, terms | more)
            for total, terms in sums
            for value, more in known
            if value == number and not terms & more
        }
    return list(sums)


def _list_readings(numbers: Sequence[int], total: int) -> list[list[int]]:
    """The amounts that a step may name: all numbers before its total, or all but one that restates the total before."""
    *named, _ = numbers
    starts = [(named, total)]
    for i, number in enumerate(named):
        if number % 10 == total and (len(named) > 1 or number >= 10):
            starts.append(([*named[:i], *named[i + 1 :]], number))
    sums = [own[:-1] for own, before in starts if len(own) > 1 and abs(own[-1] - before) == sum(own[:-1])]
    return [*(own for own, _ in starts), *sums]


def _find_contrary_words(step: str, changes: Sequence[int]) -> str | None:
    """Words that add one of these numbers where it is taken away, or the reverse; None where no words do so.

    A number that the step both adds and takes away counts for nothing: it may be two numbers.
    """
    words_by_sign = {
        sign: {int(match[1] or match[2]): match[0] for match in words.finditer(step)}
        for sign, words in ((1, _ADDS), (-1, _TAKES_AWAY))
    }
    for change in filter(None, changes):
        sign = 1 if change > 0 else -1
        if abs(change) in words_by_sign[-sign] and abs(change) not in words_by_sign[sign]:
            return words_by_sign[-sign][abs(change)].strip()
    return None
