"""What a published record is made of: sources, arms, definitions, printed numbers and findings."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from cohort.codes import Drug, Ethnicity, Status
from cohort.errors import StudyFileError
from cohort.p_values import ComparisonTest
from cohort.toml_document import closest


class TargetKind(StrEnum):
    """Whether a target is a printed number or a statement in words."""

    NUMBER = "number"
    FINDING = "finding"


class Assignment(StrEnum):
    """How patients came into their arms."""

    OBSERVATIONAL = "observational"
    RANDOMISED = "randomised"


class Measure(StrEnum):
    """What a target measures."""

    TOTAL_PATIENTS = "total_patients"
    ARM_SIZE = "arm_size"
    COMPLETE_RESPONSE = "complete_response"
    PARTIAL_RESPONSE = "partial_response"
    OVERALL_RESPONSE = "overall_response"
    """Complete or partial response."""
    P_VALUE = "p_value"
    """A p-value; ``compares`` says of which measure."""
    MONOTHERAPY_COUNT = "monotherapy_count"
    MONOTHERAPY_PERCENTAGE = "monotherapy_percentage"
    BASELINE_BALANCE = "baseline_balance"
    CLASS_V = "class_v"
    DISEASE_SEVERITY = "disease_severity"
    TREATMENT_PATTERN = "treatment_pattern"
    ASSESSED = "assessed"
    """Patients assessed at a visit: the denominator of that arm and visit."""
    RENAL_FLARE = "renal_flare"
    """As a number: patients with at least one renal flare from day 0 to ``month``."""
    RENAL_FLARE_RATE = "renal_flare_rate"
    """Renal flares per 100 patient-years from day 0 to ``month``."""
    PROTEINURIC_FLARE = "proteinuric_flare"
    """Patients with at least one proteinuric flare from day 0 to ``month``."""
    NEPHRITIC_FLARE = "nephritic_flare"
    """Patients with at least one nephritic flare from day 0 to ``month``."""
    DEATH = "death"
    """Patients who died between day 0 and ``month``."""
    ESKD = "eskd"
    """Patients who reached kidney failure between day 0 and ``month``."""
    KIDNEY_COMPOSITE = "kidney_composite"
    """Patients with loss of kidney function or death, as the study combines them, between day 0 and ``month``."""
    FLARE_FREE_SURVIVAL = "flare_free_survival"
    POOR_OUTCOME = "poor_outcome"
    ADVERSE_EVENTS = "adverse_events"
    LABORATORY_VALUES = "laboratory_values"
    KIDNEY_FUNCTION = "kidney_function"


RESPONSE_MEASURES = (Measure.COMPLETE_RESPONSE, Measure.PARTIAL_RESPONSE, Measure.OVERALL_RESPONSE)
"""Measures that are shares of the patients assessed at a visit."""

CUMULATIVE_MEASURES = (
    Measure.RENAL_FLARE,
    Measure.PROTEINURIC_FLARE,
    Measure.NEPHRITIC_FLARE,
    Measure.DEATH,
    Measure.ESKD,
    Measure.KIDNEY_COMPOSITE,
)
"""Measures that count patients of an arm with an event from day 0 to a month."""

FLARE_MEASURES = (Measure.RENAL_FLARE, Measure.RENAL_FLARE_RATE)
"""Measures of renal flares of any kind."""


class Claim(StrEnum):
    """What a finding claims, where it can be checked."""

    NO_SIGNIFICANT_DIFFERENCE = "no_significant_difference"
    HIGHER = "higher"
    """Higher in ``arm`` than elsewhere."""
    NOT_HIGHER = "not_higher"
    """Not higher in ``arm`` than elsewhere."""
    EXCEEDS = "exceeds"
    """Above ``value``."""
    DESCRIPTIVE = "descriptive"
    """Said in words only; nothing to compute."""


class Unit(StrEnum):
    """Unit of a printed number."""

    PATIENTS = "patients"
    PERCENT = "percent"
    PROBABILITY = "probability"
    PER_100_PATIENT_YEARS = "per_100_patient_years"


def _printed_decimal(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('the number as printed, in quotes, for instance "49.5"')  # noqa: TRY004 pydantic wants it
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError('a plain decimal number as printed, for instance "49.5"')
    return value


def _text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("some text in quotes")
    return value


PrintedDecimal = Annotated[str, BeforeValidator(_printed_decimal)]
Text = Annotated[str, BeforeValidator(_text)]
PositiveInt = Annotated[StrictInt, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Month = Annotated[StrictInt, Field(ge=0)]
Year = Annotated[StrictInt, Field(ge=1900, le=2100)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Record):
    """A text that numbers were taken from."""

    key: Text
    citation: Text
    url: Text


class Dose(_Record):
    """How a drug of a regimen is given.

    ``mg_day`` is the mean dose, left out where no source gives one and a level was aimed at instead:
    ``trough_ng_ml``, from and to. The drug is given from ``from_month`` until ``until_month`` or, without it, to the
    end.
    """

    drug: Drug
    mg_day: PositiveFloat | None = None
    trough_ng_ml: tuple[PositiveFloat, PositiveFloat] | None = None
    from_month: Month = 0
    until_month: PositiveInt | None = None
    status: Status
    source: Text
    note: str = ""


class Arm(_Record):
    """A group of patients compared; ``size`` is its number of patients at month 0.

    ``regimen`` names the drugs that every patient of the arm is given, from day 0 unless one of ``doses`` says
    otherwise; it is empty where the source leaves the drugs to each patient's physician. ``tacrolimus`` says whether
    the arm is given tacrolimus; it must agree with a ``regimen``. ``status`` and ``source`` are those of the size.
    """

    code: Text
    label: Text
    size: PositiveInt
    tacrolimus: StrictBool
    regimen: tuple[Drug, ...] = ()
    doses: tuple[Dose, ...] = Field(default=(), alias="dose")
    status: Status
    source: Text
    note: str = ""


class Fact(_Record):
    """A fact of the design."""

    id: Text
    value: Text
    status: Status
    source: Text
    note: str = ""


class OriginShare(_Record):
    """Share of the patients who are of one origin; the shares of a study sum to one."""

    code: Ethnicity
    share: Annotated[float, Field(gt=0, le=1)]
    status: Status
    source: Text
    note: str = ""


class Accrual(_Record):
    """Calendar years of the first and the last index date, where a source gives them.

    ``data_lock`` is the day on which the records read end, whoever is still under observation; a trial has none, since
    it follows its last patient to the last visit.
    """

    first_year: Year
    last_year: Year
    data_lock: date | None = None
    status: Status
    source: Text


class PublishedDefinition(_Record):
    """How the study defined a term; ``wording`` is ``None`` where no source says."""

    term: Text
    wording: Text | None = None
    status: Status
    source: Text
    note: str = ""


class Target(_Record):
    """One printed number or finding.

    ``value`` is the printed string and keeps its decimals; ``n`` is set only if the denominator is printed, or is the
    whole arm because the source analysed by intention to treat. ``month`` counts from day 0, whatever the source
    counts from. ``kaplan_meier`` marks a percentage that estimates a probability under censoring: no whole number of
    patients need stand behind it. A p-value names what it ``compares`` and, if the source says, by which ``test``. A
    finding has a ``statement`` and a ``claim``. ``source`` is the key of a :class:`Source`. ``superseded_by`` is the
    id of the target that replaced this one in a later text.
    """

    id: Text
    kind: TargetKind
    measure: Measure
    arm: Text | None = None
    month: Month | None = None
    value: PrintedDecimal | None = None
    unit: Unit | None = None
    n: PositiveInt | None = None
    kaplan_meier: StrictBool = False
    compares: Measure | None = None
    test: Text | None = None
    claim: Claim | None = None
    statement: Text | None = None
    status: Status
    source: Text
    superseded_by: Text | None = None
    note: str = ""

    @property
    def printed(self) -> str:
        """The printed number.

        Raises
        ------
        StudyFileError
            If the target is a finding without a number.
        """
        if self.value is None:
            raise StudyFileError("this target has no printed number", where=f"target {self.id}")
        return self.value


class PValueConstraint(_Record):
    """A printed p-value that the reconstructed counts must give back under ``test``."""

    target: Text
    test: ComparisonTest
    reason: Text


class SharedDenominator(_Record):
    """The denominator of ``target`` must also serve the superseded percentage ``also_serves`` of the same arm."""

    target: Text
    also_serves: Text
    reason: Text


class FixedDenominator(_Record):
    """The denominator of ``target`` is ``n``: an alternative sets it where the general rule would choose another."""

    target: Text
    n: PositiveInt
    reason: Text


class Alternative(_Record):
    """A named second reading: what it adds to, or fixes beside, the default constraints."""

    name: Text
    reason: Text
    p_values: tuple[PValueConstraint, ...] = Field(default=(), alias="p_value")
    denominators: tuple[FixedDenominator, ...] = Field(default=(), alias="denominator")


class ReconstructionPlan(_Record):
    """The choices that are data: what a general rule cannot know about this study."""

    p_values: tuple[PValueConstraint, ...] = Field(default=(), alias="p_value")
    shared_denominators: tuple[SharedDenominator, ...] = Field(default=(), alias="shared_denominator")
    alternatives: tuple[Alternative, ...] = Field(default=(), alias="alternative")


class Study(_Record):
    """The published record of one study.

    ``visit_months`` are the months, counted from day 0, at which response is assessed; nothing need be printed about
    one of them. ``accrual`` and ``doi`` are given only where a source at hand prints them. ``day_zero`` says in words
    what happens on day 0; ``origins`` are the origins of the patients.
    """

    name: Text
    title: Text
    citation: Text
    doi: str = ""
    assignment: Assignment = Assignment.OBSERVATIONAL
    day_zero: Text = "start of treatment"
    accrual: Accrual | None = None
    origins: tuple[OriginShare, ...] = Field(default=(), alias="origin")
    visit_months: tuple[Annotated[StrictInt, Field(ge=1)], ...] = Field(min_length=1)
    sources: tuple[Source, ...] = Field(alias="source", min_length=1)
    arms: tuple[Arm, ...] = Field(alias="arm", min_length=1)
    facts: tuple[Fact, ...] = Field(default=(), alias="fact")
    definitions: tuple[PublishedDefinition, ...] = Field(default=(), alias="definition")
    targets: tuple[Target, ...] = Field(alias="target", min_length=1)
    reconstruction: ReconstructionPlan = ReconstructionPlan()

    def target(self, target_id: str) -> Target:
        """Return the target of that id.

        Raises
        ------
        StudyFileError
            If there is none.
        """
        for target in self.targets:
            if target.id == target_id:
                return target
        raise self._unknown("target", target_id, [target.id for target in self.targets])

    def arm(self, code: str) -> Arm:
        """Return the arm of that code.

        Raises
        ------
        StudyFileError
            If there is none.
        """
        for arm in self.arms:
            if arm.code == code:
                return arm
        raise self._unknown("arm", code, [arm.code for arm in self.arms])

    def source(self, key: str) -> Source:
        """Return the source of that key.

        Raises
        ------
        StudyFileError
            If there is none.
        """
        for source in self.sources:
            if source.key == key:
                return source
        raise self._unknown("source", key, [source.key for source in self.sources])

    def printed(
        self, measure: Measure, *, arm: str | None = None, month: int | None = None, compares: Measure | None = None
    ) -> Target | None:
        """Return the number in force (not superseded) for a measure, or ``None`` if none is printed."""
        for target in self.targets:
            place = (target.measure, target.arm, target.month, target.compares)
            if (
                target.kind is TargetKind.NUMBER
                and target.superseded_by is None
                and place == (measure, arm, month, compares)
            ):
                return target
        return None

    def _unknown(self, what: str, got: str, known: list[str]) -> StudyFileError:
        return StudyFileError(
            f"no such {what}", where=f"study {self.name}", got=got, remedy=closest(got, known, f"known {what}s are")
        )
