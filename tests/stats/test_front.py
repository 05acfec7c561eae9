import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from faithlens.stats.front import mark_pareto_front

FRACTION = st.integers(0, 4).map(lambda k: k / 4)  # coarse, so that ties are common


def table(points):
    return pd.DataFrame([(str(i), *point) for i, point in enumerate(points)], columns=["strategy", *COLUMNS])


COLUMNS = ["accuracy", "sensitivity"]


def dominates(a, b):
    return a[0] >= b[0] and a[1] >= b[1] and a != b


@given(st.lists(st.tuples(FRACTION, FRACTION), max_size=8))
def test_the_front_is_dominated_by_nobody_and_everything_else_by_someone_on_it(points):
    front = mark_pareto_front(table(points))["front"].tolist()
    leaders = [point for point, on in zip(points, front, strict=True) if on]
    for point, on in zip(points, front, strict=True):
        assert on != any(dominates(other, point) for other in points)
        assert on or any(dominates(leader, point) for leader in leaders)
    assert bool(leaders) == bool(points)


def test_by_hand():
    published = {"cot": (0.860, 0.108), "cot_decomposition": (0.856, 0.117), "factored": (0.818, 0.205)}
    worse = {"both": (0.8, 0.2), "tied": (0.860, 0.1), "unmeasured": (0.99, None)}
    result = mark_pareto_front(table((published | worse).values()))
    assert result["front"].tolist() == [True, True, True, False, False, False]
    assert result.columns.tolist() == ["strategy", *COLUMNS, "front"]


def test_the_rows_keep_their_order_and_index():
    points = table([(0.5, 0.5), (0.25, 0.25), (0.0, 1.0)]).set_index(pd.Index([7, 3, 5]))
    assert mark_pareto_front(points)["front"].to_dict() == {7: True, 3: False, 5: True}
