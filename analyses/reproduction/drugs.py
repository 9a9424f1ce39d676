"""Immunosuppressants on record in maintenance, which tell monotherapy from combination."""

from __future__ import annotations

import pandas as pd

from cohort.codes import Drug, Phase
from cohort.store import Cohort

OTHER_IMMUNOSUPPRESSANTS = (
    Drug.MYCOPHENOLATE,
    Drug.AZATHIOPRINE,
    Drug.MIZORIBINE,
    Drug.CYCLOPHOSPHAMIDE,
    Drug.CYCLOSPORINE,
    Drug.VOCLOSPORIN,
)
"""Immunosuppressants beside tacrolimus; glucocorticoids, hydroxychloroquine and RAAS inhibitors are none."""


def maintenance_immunosuppressants(cohort: Cohort, patients: pd.Series[str]) -> pd.DataFrame:
    """Return which immunosuppressants each patient has on record in maintenance, together or one after another.

    Parameters
    ----------
    cohort
        The treatments table is read; a patient without a row there takes none.
    patients
        Identifiers, each once.

    Returns
    -------
    pandas.DataFrame
        Boolean columns named by the codes of tacrolimus and :data:`OTHER_IMMUNOSUPPRESSANTS`, one row per patient, in
        the order and on the index of ``patients``.
    """
    treatments = cohort.treatments
    given = treatments[treatments["phase"] != Phase.INDUCTION.value]
    return pd.DataFrame(
        {
            drug.value: patients.isin(given.loc[given["drug"] == drug.value, "patient_id"])
            for drug in (Drug.TACROLIMUS, *OTHER_IMMUNOSUPPRESSANTS)
        }
    )
