"""How every figure looks: width, type sizes, and arms told apart by colour, line and marker alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cohort.errors import AnalysisError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.8
"""Inches. Narrow, so that the type stays legible when a phone shrinks the figure to its screen."""

INK, FAINT = "#1a1a1a", "#767676"
BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
"""Okabe and Ito's colours, which people with any common colour-vision deficiency tell apart."""

_SETTINGS: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "lncohort",
}


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """How one arm is drawn."""

    code: str
    label: str
    colour: str
    line: str
    marker: str


_LOOKS = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (PURPLE, ":", "D"),
)


def arm_styles(arms: Mapping[str, str]) -> tuple[ArmStyle, ...]:
    """Give each arm its look, by position.

    Parameters
    ----------
    arms
        Code to label, in drawing order.

    Raises
    ------
    AnalysisError
        With no arm, or more arms than there are distinguishable looks.

    Examples
    --------
    >>> [style.line for style in arm_styles({"a": "Arm A", "b": "Arm B"})]
    ['-', '--']
    """
    if not 1 <= len(arms) <= len(_LOOKS):
        raise AnalysisError(
            f"a figure shows one to {len(_LOOKS)} arms",
            where="arms",
            got=f"{len(arms)} arms",
            remedy="draw fewer arms at a time",
        )
    return tuple(ArmStyle(code, label, *look) for (code, label), look in zip(arms.items(), _LOOKS, strict=False))


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the settings, and no others a user's configuration may hold, while a figure is made."""
    from matplotlib.style import context

    with context(_SETTINGS, after_reset=True):
        yield


def new_figure(height: float) -> Figure:
    """Return an empty figure of the standard width; call it inside :func:`house_style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def months_axis(axes: Axes, months: list[float], labels: list[str]) -> None:
    """Put a tick at each visit on a time axis in months."""
    axes.set_xticks(months, labels)
    axes.set_xlim(min(0.0, *months), max(months) * 1.04)
