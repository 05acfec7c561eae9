import numpy as np
import pytest

from faithlens.figures.style import GREY, escape_text, find_largest, make_shading, make_ticks, thin_names


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("page", ["#ffffff", "#000000"])
def test_text_has_the_contrast_that_wcag_asks_for_on_white_and_on_black(page):
    dark, light = sorted(luminance(colour) + 0.05 for colour in (GREY, page))
    assert light / dark >= 4.5


def test_scales_are_symmetric_only_where_something_is_negative():
    assert make_shading(np.array([0.1, np.nan, 0.4]))["zmin"] == 0
    assert make_shading(np.array([0.1, 0.4]), signed=True)["zmin"] == -0.4
    signed = make_shading(np.array([0.1, np.nan, -0.4]))
    assert (signed["zmin"], signed["zmax"]) == (-0.4, 0.4)
    up, both = (make_shading(np.array(values))["colorscale"] for values in ([1.0], [-1.0]))
    assert [both[-1][1], both[len(both) // 2][1]] == [up[-1][1], up[0][1]]  # more than 0 looks the same on either
    assert [share for share, _ in both] == sorted(share for share, _ in both)


def test_nothing_measured_and_nothing_there_have_a_scale():
    assert [find_largest(np.array(values)) for values in ([], [np.nan], [0.0], [np.nan, -3.0])] == [1, 1, 1, 3]


def test_text_is_literal_even_between_dollars():
    assert escape_text("<b>5</b> & 'so'") == "&lt;b&gt;5&lt;/b&gt; &amp; 'so'"
    assert escape_text("$4 and $5") == "&#36;4 and &#36;5"


def test_few_names_are_all_shown_and_many_are_thinned_to_round_numbers():
    steps = [f"step {i}" for i in range(150)]
    assert thin_names(steps[:14], 14) == steps[:14]
    assert thin_names(steps, 14) == [f"step {i}" for i in range(0, 150, 20)]
    assert thin_names(["prompt", *steps, "stem"], 14) == ["prompt", *(f"step {i}" for i in range(20, 140, 20)), "stem"]
    assert thin_names([chr(97 + i) for i in range(26)], 14) == list("acegikmoqsuwy")


def test_ticks_are_brief_and_escaped_and_keep_the_order():
    axis = make_ticks(["b", "a", "<i>a long name of a step"], 14)
    assert axis["categoryarray"] == ["b", "a", "<i>a long name of a step"]
    assert axis["ticktext"] == ["b", "a", "&lt;i&gt;a long name …"]
