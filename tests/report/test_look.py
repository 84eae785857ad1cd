"""Colours: every one can be read in both modes."""

from __future__ import annotations

import pytest

from lengthwise.report.look import (
    FAINT,
    INK,
    LINK,
    PANEL,
    PAPER,
    SERIES,
    VARIABLES,
    Colour,
    line,
)


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [INK, FAINT, LINK, *SERIES])
@pytest.mark.parametrize("ground", [PAPER, PANEL])
def test_text_and_lines_stand_out_in_both_modes(colour: Colour, ground: Colour) -> None:
    assert contrast(colour.light, ground.light) >= 4.5
    assert contrast(colour.dark, ground.dark) >= 4.5


def test_every_colour_is_told_apart_in_a_drawn_chart() -> None:
    lights = [colour.light for colour in VARIABLES.values()]
    assert len(set(lights)) == len(lights)


def test_no_two_of_thirty_lines_look_alike() -> None:
    looks = {(str(it["color"]), str(it["linestyle"])) for it in map(line, range(30))}
    assert len(looks) == 30
    assert len({line(number)["marker"] for number in range(8)}) == 8
