"""The target trial beside its emulation, component by component, as the TARGET statement asks a report to show."""

from __future__ import annotations

from analyses.design.eligibility import ELIGIBLE
from analyses.design.specification import TARGET_POPULATION, Specification
from cohort.results import ResultTable, result_table

TARGET_TRIAL, EMULATION = "target trial", "emulation"


def target_trial_table(specification: Specification, flow: ResultTable | None = None) -> ResultTable:
    """Lay out each component of the target trial and how the data emulate it.

    Parameters
    ----------
    specification
        The design.
    flow
        How patients were judged by its criteria (:func:`analyses.design.apply_criteria`); its numbers are filled in.

    Returns
    -------
    ResultTable
        ``statistic="description"``, two rows a component: ``term`` the component, ``group`` ``target trial`` or
        ``emulation``, the text in ``note``. The emulated eligibility carries the number eligible in ``estimate`` and
        the number assessed in ``n``. What only authors can write (rationale, data source, limitations) is not here.

    References
    ----------
    Cashin AG, Hansford HJ, Hernan MA, et al. Transparent reporting of observational studies emulating a target trial:
    the TARGET statement. JAMA 2025. doi:10.1001/jama.2025.13350. Hernan MA, Robins JM. Am J Epidemiol 2016;183:758-764.
    doi:10.1093/aje/kwv254

    Examples
    --------
    >>> from analyses.design import load_design
    >>> table = target_trial_table(load_design("observational")).frame
    >>> table["term"].drop_duplicates().tolist()[:3]
    ['causal question', 'eligibility criteria', 'treatment strategies']
    """
    criteria = tuple(one.reason for one in specification.eligibility)
    excluded = f"not included: {'; '.join(criteria)}" if criteria else "everybody in the cohort"
    strategies = " | ".join(specification.treatment_strategies)
    open_to = specification.diagram.unmeasured_confounders(specification.adjustment)
    measured = f"adjusted for {', '.join(specification.adjustment)}"
    beyond = f"; not measured and left open: {', '.join(open_to)}" if open_to else ""
    population = TARGET_POPULATION[specification.estimand]
    # Registries know who got what: only a trial without blinding can be emulated by them.
    diagram = specification.diagram
    by_lot = "by lot, open label" if diagram.parents(diagram.treatment) else "by lot"
    components: list[tuple[str, str, str]] = [
        ("causal question", specification.question, "the same"),
        ("eligibility criteria", excluded, "the same, judged on what is on record at the index date"),
        ("treatment strategies", strategies, "the arm on record at the index date"),
        ("assignment", by_lot, specification.assignment),
        ("start of follow-up", "eligibility, assignment and follow-up start together", specification.index_date),
        ("end of follow-up", specification.follow_up, f"the same; censoring: {specification.censoring}"),
        ("outcomes", "; ".join(specification.outcomes), "the same, derived from recorded laboratory values and events"),
        ("causal contrast", f"effect of assignment in {population}", f"{specification.estimand}: {population}"),
        ("identifying assumptions", "assignment by lot", "; ".join(specification.assumptions)),
        ("data analysis plan", "unadjusted comparison of the arms", measured + beyond),
    ]
    rows: list[dict[str, object]] = []
    for term, trial, emulation in components:
        rows.append({"term": term, "group": TARGET_TRIAL, "note": trial})
        rows.append({"term": term, "group": EMULATION, "note": emulation})
    if flow is not None:
        everybody = flow.frame[flow.frame["group"].isna()].set_index("term")
        place = next(k for k, row in enumerate(rows) if row["term"] == "eligibility criteria") + 1
        rows[place] |= {"estimate": everybody.loc[ELIGIBLE, "estimate"], "n": everybody.loc[ELIGIBLE, "n"]}
    return result_table(rows, analysis="design", population=str(population), statistic="description")
