"""The methods whose size and coverage are published: **one list**, to which new estimators are added.

An entry names a design, says by `judge` what one cohort shows (for each measure True when the test rejects at 5 % or
the 95 % interval covers the truth, False when not, None when there is no test or interval) and lists its measures.
After adding one to ENTRIES, run `python benchmarks/validity_document.py NAME` to simulate and record it and to
write the document.
"""

from validity.competing import COMPETING_TESTS, INCIDENCE
from validity.event_times import ADJUSTED, COUNTS, CURVES, EFFECT, EQUAL_ARMS, EQUAL_MEANS, PARAMETRIC, RECURRENT, TIMES
from validity.repeated import COURSES, FEW_PATIENTS, FIRST_RESPONSE, GEE, ORDERED, STANDARDISED
from validity.weighted import (
    DOUBLY_ROBUST,
    IMPUTED,
    MATCHED,
    STACKED_EVENTS,
    STANDARDISED_EVENTS,
    WEIGHTED,
    WEIGHTED_TESTS,
)

ENTRIES = (
    COUNTS,
    CURVES,
    EQUAL_ARMS,
    EQUAL_MEANS,
    EFFECT,
    TIMES,
    ADJUSTED,
    PARAMETRIC,
    RECURRENT,
    WEIGHTED_TESTS,
    WEIGHTED,
    DOUBLY_ROBUST,
    STACKED_EVENTS,
    STANDARDISED_EVENTS,
    MATCHED,
    IMPUTED,
    INCIDENCE,
    COMPETING_TESTS,
    GEE,
    FEW_PATIENTS,
    STANDARDISED,
    ORDERED,
    COURSES,
    FIRST_RESPONSE,
)
