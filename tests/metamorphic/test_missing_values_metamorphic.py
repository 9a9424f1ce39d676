"""Missing values change nothing they should not: an unmeasured visit is like none, other columns do not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.flare import FLARES_JUDGED_BY, derive_flares
from cohort.response import JUDGED_BY, derive_responses
from cohort.schema import VISIT_VALUES
from cohort.store import Cohort
from synthetic.generate import GeneratedCohort


@pytest.fixture(scope="module")
def made(generated: GeneratedCohort) -> Cohort:
    return generated.cohort


def blank(visits: pd.DataFrame, columns: tuple[str, ...], rows: np.ndarray) -> pd.DataFrame:
    types = {"urine_rbc_hpf": "Int32", "sledai_2k": "Int32", "urine_casts": "boolean"}
    nullable = visits.astype({name: kind for name, kind in types.items() if name in columns})
    return nullable.assign(**{name: nullable[name].mask(rows) for name in columns})


def some_later_visits(visits: pd.DataFrame) -> np.ndarray:
    drawn = np.random.default_rng(7).random(len(visits)) < 0.2
    return drawn & (visits["day"] > 0).to_numpy()


def test_a_visit_without_any_value_is_like_no_visit(made: Cohort) -> None:
    rows = some_later_visits(made.visits)
    unmeasured, absent = blank(made.visits, VISIT_VALUES, rows), made.visits[~rows]
    one, two = (derive_responses(made.patients, frame, KIM2025) for frame in (unmeasured, absent))
    assert one["response"].isna().sum() == (rows & made.visits["visit_month"].notna().to_numpy()).sum() > 50
    pd.testing.assert_frame_equal(one.dropna(subset="response", ignore_index=True), two)
    one, two = (derive_flares(made.patients, frame, KIM2025, KDIGO_2012) for frame in (unmeasured, absent))
    pd.testing.assert_frame_equal(one, two)
    assert len(one) > 5


def test_values_that_nothing_is_judged_by_may_all_be_missing(made: Cohort) -> None:
    others = tuple(name for name in VISIT_VALUES if name not in FLARES_JUDGED_BY)
    assert set(JUDGED_BY) < set(FLARES_JUDGED_BY)
    poorer = blank(made.visits, others, np.ones(len(made.visits), dtype=bool))
    for derive in (
        lambda visits: derive_responses(made.patients, visits, KIM2025),
        lambda visits: derive_flares(made.patients, visits, KIM2025, KDIGO_2012),
    ):
        pd.testing.assert_frame_equal(derive(poorer), derive(made.visits))


def test_order_and_index_of_rows_with_missing_values_do_not_matter(made: Cohort) -> None:
    poorer = blank(made.visits, FLARES_JUDGED_BY, some_later_visits(made.visits))
    shuffled = poorer.sample(frac=1, random_state=2)
    for derive in (
        lambda visits: derive_responses(made.patients, visits, KIM2025),
        lambda visits: derive_flares(made.patients, visits, KIM2025, KDIGO_2012),
    ):
        pd.testing.assert_frame_equal(derive(shuffled), derive(poorer))


def test_the_data_type_of_a_column_does_not_matter(made: Cohort) -> None:
    poorer = blank(made.visits, FLARES_JUDGED_BY, some_later_visits(made.visits))
    as_objects = poorer.astype(dict.fromkeys(FLARES_JUDGED_BY, object))
    for derive in (
        lambda visits: derive_responses(made.patients, visits, KIM2025),
        lambda visits: derive_flares(made.patients, visits, KIM2025, KDIGO_2012),
    ):
        pd.testing.assert_frame_equal(derive(as_objects), derive(poorer))
