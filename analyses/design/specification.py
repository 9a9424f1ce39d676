"""The design of a comparison, written down before it is analysed: who, from when, which effect, adjusted for what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

from analyses.design.diagram import CausalDiagram, read_diagram
from analyses.design.eligibility import Criterion
from cohort.errors import AnalysisError, DesignError
from cohort.toml_document import carried_names, named_text, read_toml

_CARRIED = resources.files("analyses.design") / "designs"


class Estimand(StrEnum):
    """The patients in whom the effect of treatment is asked for."""

    ATE = "ATE"
    ATT = "ATT"
    ATC = "ATC"
    ATO = "ATO"
    ATM = "ATM"


TARGET_POPULATION = {
    Estimand.ATE: "all eligible patients",
    Estimand.ATT: "the patients who were treated",
    Estimand.ATC: "the patients who were not treated",
    Estimand.ATO: "the patients who might have been treated or not (overlap weights)",
    Estimand.ATM: "the patients who would find a partner in the other arm (matching weights)",
}
"""Each estimand's population in words."""


@dataclass(frozen=True, slots=True)
class Specification:
    """What an analysis of treatment sets out to estimate, and how.

    Parameters
    ----------
    name, question
        A short name, and the causal question in a sentence.
    index_date, follow_up, censoring, assignment, assumptions
        In words: when follow-up starts, when it ends, what censors it, how patients came by their treatment (in the
        target trial: by lot), and what has to hold for the estimate to be that of the target trial.
    treatment_strategies
        In words, treated first.
    outcomes
        In words, the first the primary one.
    estimand
        Whose effect.
    eligibility
        Criteria in the order in which they are judged.
    adjustment
        Columns that the treatment model has: known at the index date, not caused by treatment.
    outcome_covariates
        Columns that outcome models are adjusted for, usually fewer.
    diagram
        What is assumed to cause what.
    negative_controls
        Kinds of event, or columns of day 0, that treatment cannot have caused: none is in the adjustment set.
    """

    name: str
    question: str
    index_date: str
    follow_up: str
    censoring: str
    assignment: str
    assumptions: tuple[str, ...]
    treatment_strategies: tuple[str, ...]
    outcomes: tuple[str, ...]
    estimand: Estimand
    eligibility: tuple[Criterion, ...]
    adjustment: tuple[str, ...]
    outcome_covariates: tuple[str, ...]
    diagram: CausalDiagram
    negative_controls: tuple[str, ...] = ()

    @property
    def treatment_formula(self) -> str:
        """Right-hand side of the treatment model."""
        return " + ".join(self.adjustment)

    @property
    def outcome_formula(self) -> str:
        """Right-hand side of covariates of outcome models."""
        return " + ".join(self.outcome_covariates)


def available_designs() -> tuple[str, ...]:
    """Return the names of the designs that lncohort carries, in alphabetical order.

    Examples
    --------
    >>> available_designs()
    ('observational', 'randomised')
    """
    return carried_names(_CARRIED)


def load_design(name_or_path: str | Path) -> Specification:
    """Read a design that lncohort carries, by name, or any TOML file, by path.

    Raises
    ------
    DesignError
        It is unknown or unreadable, a key is missing, unknown or of the wrong type (the message gives the line), or the
        adjustment set contradicts the causal diagram.

    Examples
    --------
    >>> load_design("observational").estimand.value
    'ATE'
    """
    where, text = named_text(name_or_path, folder=_CARRIED, what="design", option="--design", error=DesignError)
    return read_design(text, where=where)


def read_design(text: str, *, where: str) -> Specification:
    """Parse and check the text of a design file; ``where`` names it in messages.

    Raises
    ------
    DesignError
        As :func:`load_design` does.
    """
    from analyses.design.design_file import DesignFile

    document = read_toml(text, where=where, error=DesignError)
    given = document.validate(DesignFile)
    try:
        diagram = read_diagram(
            given.diagram.arrows,
            treatment=given.diagram.treatment,
            outcome=given.diagram.outcome,
            unmeasured=given.diagram.unmeasured,
        )
    except AnalysisError as error:
        raise document.fail(error.what, ("diagram",), got=error.got, remedy=error.remedy) from None
    for key in ("adjustment", "outcome_covariates"):
        names: list[str] = getattr(given, key)
        wrong = diagram.mistakes(names) if key == "adjustment" else diagram.unsuitable(names)
        if wrong:
            raise document.fail("contradicts the causal diagram", (key,), got="; ".join(wrong))
    caused = diagram.descendants(diagram.treatment)
    unfit = [f"{name} is in the adjustment set" for name in given.negative_controls if name in given.adjustment]
    unfit += [f"{name} is caused by {diagram.treatment}" for name in given.negative_controls if name in caused]
    if unfit:
        remedy = "name an event or a value of day 0 that treatment cannot cause and the score does not know"
        raise document.fail("no negative control", ("negative_controls",), got="; ".join(unfit), remedy=remedy)
    return Specification(
        name=given.name,
        question=given.question,
        index_date=given.index_date,
        follow_up=given.follow_up,
        censoring=given.censoring,
        assignment=given.assignment,
        assumptions=tuple(given.assumptions),
        treatment_strategies=tuple(given.treatment_strategies),
        outcomes=tuple(given.outcomes),
        estimand=Estimand(given.estimand),
        eligibility=tuple(
            Criterion(one.reason, one.column, tuple(one.one_of), one.at_least, one.at_most) for one in given.eligibility
        ),
        adjustment=tuple(given.adjustment),
        outcome_covariates=tuple(given.outcome_covariates),
        diagram=diagram,
        negative_controls=tuple(given.negative_controls),
    )
