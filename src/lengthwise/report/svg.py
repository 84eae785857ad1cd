"""A chart as SVG that stands inside the page: its colours follow the page's mode."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from lengthwise.core.text import visible
from lengthwise.report.look import STYLE, VARIABLES

_DPI = 144
_LEAST, _MOST = 0.9, 1.5
"""Pixels to a point: smaller, letters could not be read; larger, they would be shouting."""

_COLOURS = {colour.light: f"var(--{name})" for name, colour in VARIABLES.items()}
_HEX = re.compile("#[0-9a-f]{6}")
_FONT = re.compile(r"'DejaVu Sans'[^;]*")
_HIDDEN = {"Date": None, "Creator": None, "Format": None, "Type": None}


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an ``svg`` element, named for screen readers; the same text every time.

    Args:
        name: makes the ids of its parts, so that no two charts of a page share one.
    """
    file = StringIO()
    with _writing(figure), mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata=_HIDDEN)
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for each in list(parent):
            # matplotlib's style element would hold for every element of the page.
            if each.tag.endswith(("metadata", "style")):
                parent.remove(each)
    for each in root.iter():
        _settle(each, name)
    box = root.attrib["viewBox"]
    width = float(box.split()[2])
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": box,
            "style": f"min-width: {_LEAST * width:.0f}px; max-width: {_MOST * width:.0f}px",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
        }
    )
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        it = ElementTree.Element(tag, id=f"{name}-{'title' if tag == 'title' else 'description'}")
        it.text = visible(text)
        root.insert(place, it)
    return ElementTree.tostring(root, encoding="unicode")


def save_png(figure: Figure, path: Path) -> None:
    """The figure as PNG in the light colours."""
    with _writing(figure):
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})


@contextmanager
def _writing(figure: Figure) -> Iterator[None]:
    """The page's look; names may be in letters that matplotlib's font lacks: browsers have them.

    The plots are laid out once: laid out again they would move by a hair, and the same chart
    would not give the same file.
    """
    with warnings.catch_warnings(), mpl.rc_context(dict(STYLE)):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        yield


def _settle(it: ElementTree.Element, name: str) -> None:
    """Plain names of tags and attributes, ids of this chart only, colours of the page."""
    it.tag = it.tag.rpartition("}")[2]
    found = {key.rpartition("}")[2]: value for key, value in it.attrib.items()}
    if "id" in found:
        found["id"] = f"{name}-{found['id']}"
    if "href" in found:
        found["href"] = found["href"].replace("#", f"#{name}-", 1)
    for key, value in found.items():
        found[key] = value.replace("url(#", f"url(#{name}-")
    if "style" in found:
        style = _HEX.sub(lambda hit: _COLOURS.get(hit[0], hit[0]), found["style"])
        found["style"] = _FONT.sub("var(--font)", style)
    it.attrib.clear()
    it.attrib.update(found)
