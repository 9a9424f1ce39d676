"""A figure as SVG text: the same bytes on every run, and fit to stand beside others in one page."""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING

from analyses.figures.style import house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def figure_svg(axes: Axes, *, name: str, description: str) -> str:
    """Return the figure that holds ``axes`` as an ``<svg>`` element.

    Letters are drawn as paths, so the figure needs no font; every id starts with ``name``, so several figures can
    share a page; there is no fixed size, so the page decides the width.

    Parameters
    ----------
    axes
        Any axes of the figure.
    name
        Letters, digits and hyphens, unique in the page.
    description
        Text for readers who do not see the figure.

    Returns
    -------
    str
        From ``<svg`` to ``</svg>``, with ``role="img"`` and the description as ``aria-label``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> text = figure_svg(Figure().add_subplot(), name="empty", description="An empty plot")
    >>> 'role="img" aria-label="An empty plot"' in text and 'id="empty-figure_1"' in text
    True
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes were removed from their figure")
    drawing = _drawn(figure)
    drawing = drawing[drawing.index("<svg") :].rstrip()
    drawing = re.sub(r' (width|height)="[^"]*pt"', "", drawing, count=2)
    drawing = _shortened(drawing)
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    label = escape(description, quote=True)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _drawn(figure: Figure) -> str:
    text = io.StringIO()
    with house_style():
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    return text.getvalue()


def _shortened(drawing: str) -> str:
    """Write a drawing in half the characters: most of a page is the places of letters, to a precision nobody sees."""
    drawing = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(id="|href="#)DejaVuSans-', r"\g<1>", drawing)
    drawing = re.sub(r'transform="translate\(([-\d.]+)(?: 0)?\)"/>', r'x="\g<1>"/>', drawing)
    # The scale of the letters themselves stays: it is the one number whose third decimal is visible.
    drawing = re.sub(r"(?<!scale\()(?<!\d)\d+\.\d{3,}", _rounded, drawing)
    drawing = re.sub(r' d="([^"]*)"', _path, drawing)
    return re.sub(r">\s+<", ">\n<", re.sub(r"\s*\n\s*(?!\s*<)", " ", drawing))


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _path(found: re.Match[str]) -> str:
    """Leave out the spaces beside the letters of a path, which separate nothing."""
    shorter = re.sub(r"\s*([A-Za-z])\s*", r"\1", found[1])
    return f' d="{shorter}"'
