"""Who had started by a landmark, compared from the landmark on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.starts.hazards import CONTRAST, treated_hazard
from analyses.starts.patients import followed_patients
from analyses.survival import survival_at
from analyses.survival.inputs import check_times
from cohort.results import ResultTable, result_table


def landmark_starts(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    start_col: str,
    landmarks: Sequence[float],
    horizon: float | None = None,
    covariates: str | None = None,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare patients who had started treatment by a landmark with those who had not, from the landmark on.

    Parameters
    ----------
    data, duration_col, event_col, start_col, patient_col
        As in :func:`exposure_spells`.
    landmarks
        Times since the index date. Patients without event and under observation beyond a landmark take part in it, in
        the arm they are in then and for good.
    horizon
        Time since the index date at which survival from each landmark is compared too, or None.
    covariates, conf_level
        As in :func:`time_varying_start`; covariates are of the hazard ratio, survival is unadjusted.

    Returns
    -------
    ResultTable
        Per landmark (``population="from 6"``) a row ``log_hazard_ratio`` and, with a horizon beyond it, rows
        ``survival`` of both groups and ``survival_difference`` at ``time``, the horizon. ``note`` counts whom the
        landmark leaves out: patients with an event before it, patients no longer followed. A landmark with nobody in
        an arm has one row that says so.

    Raises
    ------
    AnalysisError
        As :func:`time_varying_start`; landmarks that are negative or not finite.

    Notes
    -----
    Nothing before the landmark is looked at, so no time is immortal. Patients who start after it dilute the comparison,
    and each landmark answers another question, about patients who got that far.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. Analysis of survival by tumor response. J Clin Oncol 1983;1:710-719.
    doi:10.1200/JCO.1983.1.11.710

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcdef"), "years": [1.0, 2, 3, 4, 5, 6], "flare": [1, 1, 1, 1, 1, 0]})
    >>> frame["start"] = [None, None, 2.0, None, 1.0, 1.0]
    >>> columns = {"duration_col": "years", "event_col": "flare", "start_col": "start"}
    >>> landmark_starts(frame, **columns, landmarks=[1.5]).frame["note"].item().split(";")[0]
    'left out: 1 with an event by then, 0 no longer followed'
    """
    patients = followed_patients(
        data,
        duration_col=duration_col,
        event_col=event_col,
        start_col=start_col,
        patient_col=patient_col,
        where="landmark_starts",
    )
    rows: list[dict[str, object]] = []
    for landmark in check_times(landmarks).tolist():
        there = np.flatnonzero(patients.durations > landmark)
        gone = patients.durations <= landmark
        failed = int((gone & patients.events).sum())
        said = f"left out: {failed} with an event by then, {int(gone.sum()) - failed} no longer followed"
        laid_out = (
            data.iloc[patients.rows[there]]
            .reset_index(drop=True)
            .assign(
                entry=0.0,
                exit=patients.durations[there] - landmark,
                failed=patients.events[there].astype(np.int64),
                treated=(patients.starts[there] <= landmark).astype(np.int64),
            )
        )
        own = [treated_hazard(laid_out, covariates, cluster_col=patient_col, conf_level=conf_level)]
        if horizon is not None and horizon > landmark and laid_out["treated"].nunique() == 2:
            own += _survival_rows(laid_out, horizon, landmark, conf_level)
        for row in own:
            remarks = [said, patients.remark, row.get("note")]
            kept = [str(one) for one in remarks if isinstance(one, str) and one]
            rows.append(row | {"population": f"from {landmark:g}", "note": "; ".join(kept)})
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": "landmark_starts",
                "duration_col": duration_col,
                "event_col": event_col,
                "start_col": start_col,
                "landmarks": [float(one) for one in landmarks],
                "horizon": horizon,
                "covariates": covariates,
                "conf_level": conf_level,
            }
        },
        analysis="starts",
        method="landmark" + ("" if covariates is None else f", hazard ratio given {covariates}"),
    )


def _survival_rows(
    laid_out: pd.DataFrame, horizon: float, landmark: float, conf_level: float
) -> list[dict[str, object]]:
    table = survival_at(
        laid_out,
        duration_col="exit",
        event_col="failed",
        by="treated",
        times=[horizon - landmark],
        conf_level=conf_level,
    ).frame
    names = {"0": "untreated", "1": "treated"}
    columns = ("statistic", "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events", "note")
    found = []
    for _, row in table.iterrows():
        place = {"contrast": CONTRAST} if isinstance(row["contrast"], str) else {"group": names[str(row["group"])]}
        found.append({name: row[name] for name in columns} | place | {"time": horizon, "conf_level": conf_level})
    return found
