"""The causal diagram: treatment on the left, outcome on the right, what causes either between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.figures.labels import variable_label
from analyses.figures.selection import rows_of
from analyses.figures.style import BLUE, FAINT, INK, VERMILLION, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _MIDDLE, _RIGHT = 0.07, 0.5, 0.93
_BOX = {"boxstyle": "round,pad=0.3", "facecolor": "white"}
_LOOKS = {
    "treatment": {"edgecolor": INK, "linewidth": 1.4},
    "outcome": {"edgecolor": INK, "linewidth": 1.4},
    "adjusted for": {"edgecolor": BLUE, "linewidth": 1.0},
    "unmeasured": {"edgecolor": VERMILLION, "linewidth": 1.0, "linestyle": "--"},
    "caused by treatment": {"edgecolor": FAINT, "linewidth": 0.8, "linestyle": ":"},
    "not adjusted for": {"edgecolor": FAINT, "linewidth": 0.8},
}
_ORDER = ("unmeasured", "adjusted for", "not adjusted for", "caused by treatment")


def plot_causal_diagram(table: ResultTable, *, treatment: str, outcome: str) -> Axes:
    """Draw a causal diagram.

    Parameters
    ----------
    table
        As :func:`analyses.design.diagram_table` lays it out.
    treatment, outcome
        Labels of the two.

    Returns
    -------
    Axes
        Unmeasured variables on top (dashed box), then those adjusted for, then others; effects of treatment at the
        bottom (dotted box). Arrows to and from treatment and outcome are drawn; arrows among the other variables are
        left to the table, where they can be read.

    Raises
    ------
    AnalysisError
        A table without variables or arrows.

    Examples
    --------
    >>> from analyses.design import diagram_table, read_diagram
    >>> diagram = read_diagram(["severity -> arm, flare", "arm -> flare"], treatment="arm", outcome="flare")
    >>> axes = plot_causal_diagram(diagram_table(diagram, []), treatment="Tacrolimus", outcome="Flare")
    >>> len(axes.texts)
    6
    """
    variables = rows_of(table, "variable", where="plot_causal_diagram").set_index("term")["group"]
    arrows = [
        tuple(term.split(" -> ")) for term in rows_of(table, "arrow", where="plot_causal_diagram")["term"].astype(str)
    ]
    ends = {
        str(variables.index[variables == "treatment"][0]): (treatment, _LEFT),
        str(variables.index[variables == "outcome"][0]): (outcome, _RIGHT),
    }
    between = [str(name) for role in _ORDER for name in variables.index[variables == role]]
    # Treatment and outcome face each other in a row of their own, above what treatment causes.
    later = sum(variables[name] == "caused by treatment" for name in between)
    rank = {name: len(between) - place for place, name in enumerate(between)}
    height = {name: place + (place > later) for name, place in rank.items()} | dict.fromkeys(ends, later + 1)
    with house_style():
        figure = new_figure(0.8 + 0.3 * (len(between) + 1))
        axes: Axes = figure.add_subplot()
        axes.set_xlim(0, 1)
        axes.set_ylim(0.4, len(between) + 1.6)
        axes.axis("off")
        nodes = {}
        for name in (*between, *ends):
            label, x = ends.get(name, (variable_label(name).partition(",")[0], _MIDDLE))
            look = _BOX | _LOOKS[str(variables[name])]
            nodes[name] = axes.text(x, height[name], label, ha="center", va="center", bbox=look, zorder=3)
        for cause, effect in arrows:
            if cause not in ends and effect not in ends:
                continue
            alone = cause in ends and effect in ends
            axes.annotate(
                "",
                xy=nodes[effect].get_position(),
                xytext=nodes[cause].get_position(),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": INK if alone else FAINT,
                    "linewidth": 1.4 if alone else 0.7,
                    "connectionstyle": "arc3,rad=0.0",
                    "patchA": nodes[cause].get_bbox_patch(),
                    "patchB": nodes[effect].get_bbox_patch(),
                    "shrinkA": 1,
                    "shrinkB": 2,
                },
                zorder=1,
            )
    return axes
