"""A causal diagram as a result table, so that a page can draw it from what was written."""

from __future__ import annotations

from collections.abc import Collection

from analyses.design.diagram import CausalDiagram
from cohort.results import ResultTable, result_table

TREATMENT, OUTCOME, ADJUSTED, UNMEASURED, EFFECT, LEFT = (
    "treatment",
    "outcome",
    "adjusted for",
    "unmeasured",
    "caused by treatment",
    "not adjusted for",
)


def diagram_table(diagram: CausalDiagram, adjusted: Collection[str]) -> ResultTable:
    """List the variables and arrows of a diagram.

    Parameters
    ----------
    diagram
        The diagram.
    adjusted
        Variables adjusted for.

    Returns
    -------
    ResultTable
        Rows ``statistic="variable"``: ``term`` the name, ``group`` its role (``treatment``, ``outcome``, ``adjusted
        for``, ``unmeasured``, ``caused by treatment``, ``not adjusted for``). Rows ``statistic="arrow"``: ``term``
        ``cause -> effect``. Rows ``statistic="mistake"``: in ``note``, what is wrong with the adjustment set. A row
        ``statistic="open_confounding"`` names in ``note`` the unmeasured variables that leave confounding open.

    Examples
    --------
    >>> from analyses.design import read_diagram
    >>> diagram = read_diagram(["severity -> arm, flare", "arm -> flare"], treatment="arm", outcome="flare")
    >>> diagram_table(diagram, ["severity"]).frame["group"].dropna().tolist()
    ['adjusted for', 'treatment', 'outcome']
    """
    rows: list[dict[str, object]] = [
        {"statistic": "variable", "term": name, "group": _role(diagram, name, adjusted)} for name in diagram.variables
    ]
    rows += [{"statistic": "arrow", "term": f"{cause} -> {effect}"} for cause, effect in diagram.arrows]
    rows += [{"statistic": "mistake", "note": said} for said in diagram.mistakes(adjusted)]
    unmeasured = diagram.unmeasured_confounders(adjusted)
    if unmeasured:
        rows.append({"statistic": "open_confounding", "note": ", ".join(unmeasured)})
    return result_table(rows, analysis="design", method="causal diagram; back-door criterion by d-separation")


def _role(diagram: CausalDiagram, name: str, adjusted: Collection[str]) -> str:
    if name == diagram.treatment:
        return TREATMENT
    if name == diagram.outcome:
        return OUTCOME
    if name in adjusted:
        return ADJUSTED
    if name in diagram.unmeasured:
        return UNMEASURED
    return EFFECT if name in diagram.descendants(diagram.treatment) else LEFT
