"""CKD-EPI 2021 worked out by hand from its printed coefficients."""

from __future__ import annotations

import pytest

from cohort.egfr import ckd_epi_2021, creatinine_for_egfr


@pytest.mark.parametrize(
    ("creatinine", "age", "female", "expected"),
    [
        # At the knot both powers are 1: only the constant, and 1.012 for women, remain.
        (0.9, 0.0, False, 142.0),
        (0.7, 0.0, True, 142.0 * 1.012),
        # Twice the knot: 2 ** -1.2 = 0.4352753, 142 times that = 61.809; with 1.012 for women 62.551.
        (1.8, 0.0, False, 61.809),
        (1.4, 0.0, True, 62.551),
        # Half the knot: 2 ** 0.302 = 1.2328525 for men, 2 ** 0.241 = 1.1818115 for women.
        (0.45, 0.0, False, 175.065),
        (0.35, 0.0, True, 169.831),
        # Fifty years: 0.9938 ** 50 = exp(50 x -0.00621931) = 0.732740.
        (0.9, 50.0, False, 104.049),
        (1.8, 50.0, False, 45.290),
    ],
)
def test_ckd_epi_2021(creatinine: float, age: float, female: bool, expected: float) -> None:
    assert float(ckd_epi_2021(creatinine, age, female)) == pytest.approx(expected, abs=0.001)
    assert float(creatinine_for_egfr(expected, age, female)) == pytest.approx(creatinine, abs=2e-5)
