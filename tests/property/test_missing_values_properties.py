"""Properties of missing values: an answer stays the answer or is open, open means truly open, no flare is invented."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.definitions import KDIGO_2012, KIM2025, KIM2025_STRICT, ResponseDefinition
from cohort.flare import derive_flares
from cohort.response import derive_responses

STEADY = settings(derandomize=True, deadline=None, max_examples=60)
PATIENTS = pd.DataFrame({"patient_id": ["a", "b"], "age_years": [30.0, 62.0], "sex": ["female", "male"]})
LABS = ("upcr_g_g", "serum_creatinine_mg_dl", "urine_rbc_hpf", "urine_casts")
# Values near every limit of response and flare, so that most courses respond and flare.
UPCR = st.sampled_from([0.0, 0.3, 0.49, 0.5, 0.9, 1.0, 1.5, 2.0, 2.1, 3.49, 3.5, 4.0, 8.0, 12.0])
CREATININE = st.sampled_from([0.6, 0.8, 0.9, 1.0, 1.01, 1.14, 1.15, 1.2, 1.26, 1.33, 1.8, 2.6])
VISIT = st.tuples(UPCR, CREATININE, st.sampled_from([0, 4, 5, 15, 16, 40]), st.booleans())
MONTHS = (0, 6, 12, 24, 36, 60)
COURSES = st.tuples(*(st.lists(VISIT, min_size=2, max_size=6) for _ in range(2)))


def table(courses: tuple[list[tuple[float, float, int, bool]], ...]) -> pd.DataFrame:
    rows = [
        (patient, MONTHS[place], 30 * MONTHS[place] + place, *visit)
        for patient, course in zip("ab", courses, strict=True)
        for place, visit in enumerate(course)
    ]
    frame = pd.DataFrame(rows, columns=["patient_id", "visit_month", "day", *LABS])
    return frame.astype({"visit_month": "Int32", "urine_rbc_hpf": "Int32", "urine_casts": "boolean"})


def blanked(visits: pd.DataFrame, rows: list[bool], column: str) -> pd.DataFrame:
    return visits.assign(**{column: visits[column].mask(np.resize(np.array(rows, dtype=bool), len(visits)))})


HOLES = st.tuples(*(st.lists(st.booleans(), min_size=1, max_size=12) for _ in LABS))


def with_holes(visits: pd.DataFrame, holes: tuple[list[bool], ...]) -> pd.DataFrame:
    for column, rows in zip(LABS, holes, strict=True):
        visits = blanked(visits, rows, column)
    return visits


@pytest.mark.parametrize("definition", [KIM2025, KIM2025_STRICT], ids=lambda one: one.name)
def test_with_missing_values_the_answer_is_the_same_or_open(definition: ResponseDefinition) -> None:
    @STEADY
    @given(COURSES, HOLES)
    def holds(courses: tuple[list[tuple[float, float, int, bool]], ...], holes: tuple[list[bool], ...]) -> None:
        visits = table(courses)
        full = derive_responses(PATIENTS, visits, definition)
        part = derive_responses(PATIENTS, with_holes(visits, holes), definition)
        assert part[["patient_id", "visit_month"]].equals(full[["patient_id", "visit_month"]])
        known = part["response"].notna()
        assert part.loc[known, "response"].tolist() == full.loc[known, "response"].tolist()
        assert part["reason"].str.startswith("missing: ").tolist() == (~known).tolist()

    holds()


@STEADY
@given(COURSES, HOLES, HOLES)
def test_more_values_never_open_an_answer(
    courses: tuple[list[tuple[float, float, int, bool]], ...],
    first: tuple[list[bool], ...],
    more: tuple[list[bool], ...],
) -> None:
    some = with_holes(table(courses), first)
    fewer = derive_responses(PATIENTS, with_holes(some, more), KIM2025)["response"]
    answers = derive_responses(PATIENTS, some, KIM2025)["response"]
    assert answers[fewer.notna()].tolist() == fewer.dropna().tolist()


@pytest.mark.parametrize("definition", [KIM2025, KIM2025_STRICT], ids=lambda one: one.name)
@pytest.mark.parametrize("gaps", [gaps for size in (1, 2, 3, 4) for gaps in itertools.combinations(range(4), size)])
def test_open_exactly_where_two_completions_disagree(gaps: tuple[int, ...], definition: ResponseDefinition) -> None:
    """Every completion from a grid that crosses all limits, against the one answer given without the values."""
    grid = ([0.0, 0.49, 1.5, 3.5, 100.0], [0.1, 0.9, 1.0, 1.1, 1.2, 1.3, 30.0])
    choices = (*grid, *grid)

    @settings(STEADY, max_examples=4)
    @given(st.tuples(UPCR, CREATININE, UPCR, CREATININE))
    def holds(values: tuple[float, ...]) -> None:
        free = [choices[place] if place in gaps else [values[place]] for place in range(4)]
        completions = np.array(list(itertools.product(*free)))
        ids = [f"p{number}" for number in range(len(completions) + 1)]
        people = pd.DataFrame({"patient_id": ids, "age_years": 30.0, "sex": "female"})
        unknown = np.where(np.isin(np.arange(4), gaps), np.nan, values)
        rows = np.vstack([completions, unknown])
        both = [
            pd.DataFrame(
                {"patient_id": ids, "visit_month": month, "day": 30 * month, "upcr_g_g": rows[:, place]}
            ).assign(serum_creatinine_mg_dl=rows[:, place + 1])
            for month, place in ((6, 0), (0, 2))
        ]
        answers = derive_responses(people, pd.concat(both, ignore_index=True), definition).set_index("patient_id")
        answer = answers["response"].iloc[answers.index.get_loc(ids[-1])]
        possible = set(answers.loc[ids[:-1], "response"])
        assert {answer} == possible if len(possible) == 1 else pd.isna(answer)

    holds()


@STEADY
@given(COURSES, st.integers(1, 5), st.sampled_from(LABS[:2]))
def test_blanking_a_visit_leaves_every_other_visit_as_it_was(
    courses: tuple[list[tuple[float, float, int, bool]], ...], place: int, column: str
) -> None:
    visits = table(courses)
    hit = ((visits["patient_id"] == "a") & (visits["visit_month"] == MONTHS[place])).to_numpy(dtype=bool)
    one, two = (
        derive_responses(PATIENTS, frame, KIM2025)
        for frame in (visits, visits.assign(**{column: visits[column].mask(hit)}))
    )
    others = ~((one["patient_id"] == "a") & (one["visit_month"] == MONTHS[place]))
    pd.testing.assert_frame_equal(one[others], two[others])


@STEADY
@given(COURSES, HOLES)
def test_missing_values_never_invent_a_flare_or_make_it_earlier(
    courses: tuple[list[tuple[float, float, int, bool]], ...], holes: tuple[list[bool], ...]
) -> None:
    visits = table(courses)
    full, part = (
        derive_flares(PATIENTS, frame, KIM2025, KDIGO_2012).groupby("patient_id")["day"].min()
        for frame in (visits, with_holes(visits, holes))
    )
    assert set(part.index) <= set(full.index)
    assert (part >= full.reindex(part.index)).all()


@STEADY
@given(COURSES, HOLES)
def test_a_flare_seen_in_both_is_never_graver_with_less_seen_before_it(
    courses: tuple[list[tuple[float, float, int, bool]], ...], holes: tuple[list[bool], ...]
) -> None:
    rank = {"mild": 1, "moderate": 2, "severe": 3}
    visits = table(courses)
    full, part = (
        derive_flares(PATIENTS, frame, KIM2025, KDIGO_2012).drop_duplicates("patient_id")
        for frame in (visits, with_holes(visits, holes))
    )
    both = full.merge(part, on=["patient_id", "day"])
    assert (both["kind_y"].map(rank) <= both["kind_x"].map(rank)).all()
