"""Which terms of the question a number of a chain stands for: in running sums, a true equation can be the wrong one.

1. A question is a running sum where its true values follow, one by one, from its numbers by adding or taking away the
   next one. This gives each number its sign.
2. A number stands for a vector with one entry a term: how often the term is in it, 1 or -1 for the numbers themselves.
   A number that occurs twice, or a total that equals a number of the question, has several vectors.
3. A sum or a difference has the sums or differences of its operands' vectors.
4. It makes sense if it holds some of the terms, each once and with its sign in the question, or the opposite of that
   ("in all, 10 + 11 = 21 were given away").

For example, for "28 stamps, 10 given away, 11 given away, 13 found" with the values 18, 7 and 20, where the signs are
+, -, - and +::

    28 - 10 = 18    (1, -1, 0, 0)      makes sense
    18 + 11 = 29    (1, -1, 1, 0)      does not: 11 are taken away
    10 + 11 = 21    (0, 1, 1, 0)       makes sense: the opposite of two terms
    28 - 21 = 7     (1, -1, -1, 0)     makes sense
    7 - 10 = -3     (1, -2, -1, 0)     does not: 10 is taken away twice
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import product
from operator import add, sub

Terms = tuple[int, ...]

_MAX_VECTORS = 200
"""Vectors of one number; a number with more is not followed."""


class SumTerms:
    """The terms of a question that is a running sum, and what is known to stand for which of them.

    Args:
        numbers: the numbers of the question, in their order.
        signs: for each of them 1 if it is added, -1 if it is taken away, and 0 if that makes no difference.
    """

    def __init__(self, numbers: Sequence[Decimal], signs: Sequence[int]) -> None:
        self.signs = tuple(signs)
        self._vectors: dict[Decimal, frozenset[Terms]] = {}
        places = range(len(numbers))
        for i, number in enumerate(numbers):
            self.learn(number, [tuple(int(i == j) for j in places)])

    def learn(self, number: Decimal, vectors: Iterable[Terms]) -> None:
        """Note that `number` stands for each of `vectors` that makes sense, beside what it stands for already."""
        self._vectors[number] = self._vectors.get(number, frozenset()) | self.keep_sensible(vectors)

    def list_vectors(self, number: Decimal) -> frozenset[Terms] | None:
        """What `number` stands for; None if that is not known."""
        return self._vectors.get(number) or None

    def keep_sensible(self, vectors: Iterable[Terms]) -> frozenset[Terms]:
        """Those of `vectors` that hold some terms, each once, with their signs or all with the opposite ones."""
        return frozenset(v for v in vectors if self._is_part(v, 1) or self._is_part(v, -1))

    def _is_part(self, vector: Terms, turn: int) -> bool:
        pairs = zip(vector, self.signs, strict=True)
        return all(entry == 0 or entry * turn == sign or (sign == 0 and abs(entry) == 1) for entry, sign in pairs)


def combine(
    first: frozenset[Terms] | None, second: frozenset[Terms] | None, *, subtract: bool
) -> frozenset[Terms] | None:
    """What a sum or a difference stands for; None if that is not known for both operands."""
    if first is None or second is None or len(first) * len(second) > _MAX_VECTORS:
        return None
    operation = sub if subtract else add
    return frozenset(tuple(map(operation, a, b)) for a, b in product(first, second))


def read_sum_terms(numbers: Sequence[Decimal], values: Sequence[Decimal]) -> SumTerms | None:
    """The terms of a question with these numbers and true values, or None if it is no running sum.

    The first value is made from the first two numbers, and each later one from the value before and the next number.
    """
    if not values or len(numbers) != len(values) + 1:
        return None
    signs = [1]
    for before, number, value in zip([numbers[0], *values], numbers[1:], values, strict=False):
        if value not in (before + number, before - number):
            return None
        signs.append(0 if number == 0 else 1 if value == before + number else -1)
    return SumTerms(numbers, signs)
