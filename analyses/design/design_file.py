"""The keys of a design file, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CriterionKeys(_Keys):
    """One ``[[eligibility]]``."""

    reason: Text
    column: Text
    one_of: list[Text] = []
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> CriterionKeys:
        if not self.one_of and self.at_least is None and self.at_most is None:
            raise ValueError("asks nothing: give one_of, at_least or at_most")
        return self


class DiagramKeys(_Keys):
    """The ``[diagram]``."""

    treatment: Text
    outcome: Text
    arrows: Annotated[list[Text], Field(min_length=1)]
    unmeasured: list[Text] = []


class DesignFile(_Keys):
    """A whole design file."""

    name: Text
    question: Text
    index_date: Text
    follow_up: Text
    censoring: Text
    assignment: Text
    assumptions: list[Text]
    treatment_strategies: Annotated[list[Text], Field(min_length=2)]
    outcomes: Annotated[list[Text], Field(min_length=1)]
    estimand: Literal["ATE", "ATT", "ATC", "ATO", "ATM"]
    adjustment: Annotated[list[Text], Field(min_length=1)]
    outcome_covariates: Annotated[list[Text], Field(min_length=1)]
    negative_controls: list[Text] = []
    eligibility: list[CriterionKeys] = []
    diagram: DiagramKeys
