"""Named definitions of renal response and renal flare, with every threshold as a documented parameter."""

from __future__ import annotations

from dataclasses import dataclass

from cohort.codes import Status
from cohort.errors import DefinitionError
from cohort.provenance import parameter

_ABSTRACTS = "Conference abstracts of the cohort, Lupus Sci Med 2022;9(Suppl 2):A84 and 2023;10(Suppl 1):A134"
_TABLE_29 = "KDIGO 2012 glomerulonephritis guideline, Table 29"


_PRINTED_STEPS = {
    "complete_upcr_below": 100,
    "partial_upcr_below": 100,
    "normal_creatinine_women": 100,
    "normal_creatinine_men": 100,
    "near_normal_egfr": 10,
}
"""Steps a unit in which laboratory values are compared; a finer threshold would be rounded silently."""


@dataclass(frozen=True, slots=True)
class ResponseDefinition:
    """Complete and partial renal response judged from raw laboratory values.

    Complete response (CR): UPCR below ``complete_upcr_below`` and a creatinine clause. The source words the clause
    as "normal serum creatinine or, if normal at baseline, not increased by >= 15 %", which reads in two ways:
    ``creatinine_reading="either"`` takes either condition alone as enough; ``"both"`` asks for a normal creatinine
    and, where baseline was normal, a rise below the limit as well.

    Partial response (PR): UPCR at most ``1 - partial_reduction`` of baseline and below ``partial_upcr_below``, eGFR
    at least ``near_normal_egfr``, and not CR. Anything else is no response (NR).
    """

    name: str = "kim2025"
    creatinine_reading: str = parameter(
        "either",
        "reading of the creatinine clause (either, both)",
        Status.ASSUMED,
        "the wording allows two readings; generated cohorts agree under both",
    )
    complete_upcr_below: float = parameter(0.5, "g/g", Status.REPORTED_EARLIER, _ABSTRACTS)
    creatinine_rise_below: float = parameter(0.15, "share of baseline", Status.REPORTED_EARLIER, _ABSTRACTS)
    partial_reduction: float = parameter(0.5, "share of baseline", Status.REPORTED_EARLIER, _ABSTRACTS)
    partial_upcr_below: float = parameter(
        3.5,
        "g/g",
        Status.ASSUMED,
        "the source says sub-nephrotic and gives no limit; 3.5 g/g is the usual nephrotic range",
    )
    near_normal_egfr: float = parameter(
        60.0, "mL/min/1.73 m2", Status.ASSUMED, "the source says near-normal GFR and gives no limit"
    )
    normal_creatinine_women: float = parameter(
        1.0, "mg/dL, upper limit", Status.ASSUMED, "the source says normal creatinine and gives no limit"
    )
    normal_creatinine_men: float = parameter(
        1.2, "mg/dL, upper limit", Status.ASSUMED, "the source says normal creatinine and gives no limit"
    )

    def __post_init__(self) -> None:
        if self.creatinine_reading not in ("either", "both"):
            raise DefinitionError(
                "creatinine_reading is 'either' or 'both'", where=self.name, got=repr(self.creatinine_reading)
            )
        if not 0 < self.partial_reduction < 1:
            raise DefinitionError(
                "partial_reduction lies between 0 and 1", where=self.name, got=f"{self.partial_reduction:g}"
            )
        if self.partial_upcr_below <= self.complete_upcr_below:
            raise DefinitionError(
                "partial_upcr_below must exceed complete_upcr_below",
                where=self.name,
                got=f"{self.partial_upcr_below:g}",
            )
        for name, steps in _PRINTED_STEPS.items():
            value = getattr(self, name)
            if abs(value * steps - round(value * steps)) > 1e-6:
                raise DefinitionError(
                    f"{name} is finer than the laboratory values it is compared with",
                    where=self.name,
                    got=f"{value:g}",
                    remedy=f"give it in steps of {1 / steps:g}",
                )

    @property
    def in_words(self) -> str:
        """The definition as a reader of the report needs it, thresholds included."""
        both = "or" if self.creatinine_reading == "either" else "and"
        women, men = f"{self.normal_creatinine_women:g}", f"{self.normal_creatinine_men:g}"
        return (
            f"Complete response (CR): urine protein-creatinine ratio below {self.complete_upcr_below:g} g/g and "
            f"creatinine normal (at most {women} mg/dL in women, {men} in men) {both}, if normal at the start, risen "
            f"by less than {100 * self.creatinine_rise_below:g} %. Partial response (PR): ratio at most "
            f"{100 * (1 - self.partial_reduction):g} % of the start and below {self.partial_upcr_below:g} g/g, eGFR at "
            f"least {self.near_normal_egfr:g}, and not CR. The limits of normal creatinine, of sub-nephrotic "
            "proteinuria and of near-normal eGFR are not published and are assumed."
        )


@dataclass(frozen=True, slots=True)
class FlareDefinition:
    """Renal flare after a response, by KDIGO 2012 Table 29 on urine protein, creatinine and sediment.

    The reference is the lowest value since the response began. A rise of UPCR of more than ``severe_upcr_rise``, or
    of creatinine beyond its severe limit, is severe. The table leaves a doubling from above 1 g/g to 5 g/g or more
    with a rise of at most 5 g/g unnamed: it counts as moderate here. The table's acanthocytes are not in the schema:
    casts stand for the sediment.
    """

    name: str = "kdigo2012"
    upcr_low: float = parameter(0.5, "g/g, reference below", Status.BORROWED, _TABLE_29)
    upcr_low_flare: float = parameter(1.0, "g/g, at least", Status.BORROWED, _TABLE_29)
    upcr_middle: float = parameter(1.0, "g/g, reference up to", Status.BORROWED, _TABLE_29)
    upcr_middle_flare: float = parameter(2.0, "g/g, at least", Status.BORROWED, _TABLE_29)
    upcr_high_fold: float = parameter(2.0, "times the reference, at least", Status.BORROWED, _TABLE_29)
    severe_upcr_rise: float = parameter(5.0, "g/g, more than", Status.BORROWED, _TABLE_29)
    creatinine_high: float = parameter(2.0, "mg/dL, reference from", Status.BORROWED, _TABLE_29)
    creatinine_rise: float = parameter(0.20, "mg/dL, at least", Status.BORROWED, _TABLE_29)
    creatinine_rise_severe: float = parameter(1.0, "mg/dL, more than", Status.BORROWED, _TABLE_29)
    creatinine_rise_high: float = parameter(0.40, "mg/dL, at least, high reference", Status.BORROWED, _TABLE_29)
    creatinine_rise_high_severe: float = parameter(1.5, "mg/dL, more than, high reference", Status.BORROWED, _TABLE_29)
    rbc_quiet: int = parameter(5, "per high-power field, reference below", Status.BORROWED, _TABLE_29)
    rbc_active: int = parameter(15, "per high-power field, more than, with casts", Status.BORROWED, _TABLE_29)
    merge_days: int = parameter(90, "days within which two flares are one", Status.ASSUMED, "one flare seen twice")

    @property
    def in_words(self) -> str:
        """The definition in a sentence."""
        return (
            "Renal flare: after a response, a rise of proteinuria, creatinine or urine sediment by KDIGO 2012 Table 29 "
            "against the lowest value since that response; the study's own definition is not published. Event-free "
            "survival counts the first of renal flare, end-stage kidney disease (ESKD) and death."
        )


KIM2025 = ResponseDefinition()
"""The flagship study's response definition, creatinine clause read as a literal "or"."""
KIM2025_STRICT = ResponseDefinition(name="kim2025_strict", creatinine_reading="both")
"""The flagship study's response definition, both creatinine conditions required."""
KDIGO_2012 = FlareDefinition()
"""KDIGO 2012 Table 29."""

_RESPONSE_DEFINITIONS = {definition.name: definition for definition in (KIM2025, KIM2025_STRICT)}


def response_definition(name: str) -> ResponseDefinition:
    """Return the response definition called ``name``.

    Raises
    ------
    DefinitionError
        If there is none of that name.

    Examples
    --------
    >>> response_definition("kim2025").complete_upcr_below
    0.5
    """
    if name not in _RESPONSE_DEFINITIONS:
        raise DefinitionError(
            "no response definition of that name",
            where="--definition",
            got=repr(name),
            remedy=f"choose one of {', '.join(_RESPONSE_DEFINITIONS)}",
        )
    return _RESPONSE_DEFINITIONS[name]
