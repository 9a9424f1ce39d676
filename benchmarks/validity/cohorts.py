"""Cohorts of known truth, drawn from models simple enough to write down; see DESIGNS for the words.

None of them is a lupus-nephritis cohort: they are the plainest data on which each method's assumptions hold, so that
what size or coverage lacks is the method's own. Arms are in the proportion 92 to 87.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

Draw = Callable[[np.random.Generator, int], pd.DataFrame]

HORIZON = 1826
"""Days of five years: the end of follow-up."""
HAZARD = -np.log(0.45) / HORIZON
LOSS = -np.log(0.8) / HORIZON
HAZARD_RATIO = 0.6
LOG_HAZARD_PER_X = 0.5
CAUSE_HAZARDS = (-np.log(0.6) / HORIZON, -np.log(0.95) / HORIZON)
RATES = (0.3, 0.05)
MONTHS = {6: 0.45, 12: 0.55, 24: 0.6}
WITHIN_PATIENT = 0.4
PER_COVARIATE = 0.4
ASSESSED = 0.85
PARTIAL = 0.2
FLARES_PER_DAY = HAZARD
FRAILTY_VARIANCE = 0.5
FALL_PER_YEAR = 0.1
YEARS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
FIRST_RESPONSES_PER_MONTH = -np.log(0.55) / 6
VISITS = (3, 6, 12, 24, 36, 60)


@dataclass(frozen=True)
class Design:
    """A model to draw cohorts from: its name, which is part of the seed, and its words for the document."""

    name: str
    words: str
    draw: Draw


def arms(size: int) -> np.ndarray:
    """Return the arms, ``b`` first, in the proportion 92 to 87."""
    return np.where(np.arange(size) < round(size * 92 / 179), "b", "a")


def followed(stream: np.random.Generator, hazards: np.ndarray) -> pd.DataFrame:
    """Draw times of the first of some causes, hazards of shape (n, causes), and censor them; whole days."""
    size = len(hazards)
    latent = np.ceil(stream.exponential(1 / hazards))
    entered_late = stream.integers(366, 2923, size)
    lost = np.ceil(stream.exponential(1 / LOSS, size))
    end = np.minimum(np.minimum(entered_late, lost), HORIZON)
    day = np.minimum(latent.min(axis=1), end)
    cause = np.where(latent.min(axis=1) <= end, latent.argmin(axis=1) + 1, 0)
    return pd.DataFrame({"day": day, "event": (cause > 0).astype(np.int64), "cause": cause})


def survival(stream: np.random.Generator, size: int) -> pd.DataFrame:
    return followed(stream, np.full((size, 1), HAZARD)).assign(arm=arms(size))


def effect(stream: np.random.Generator, size: int) -> pd.DataFrame:
    arm = arms(size)
    return followed(stream, np.where(arm == "b", HAZARD * HAZARD_RATIO, HAZARD)[:, None]).assign(arm=arm)


def prognostic(stream: np.random.Generator, size: int) -> pd.DataFrame:
    x = stream.normal(size=size)
    return followed(stream, HAZARD * np.exp(LOG_HAZARD_PER_X * x)[:, None]).assign(arm=arms(size), x=x)


def competing(stream: np.random.Generator, size: int) -> pd.DataFrame:
    return followed(stream, np.tile(CAUSE_HAZARDS, (size, 1))).assign(arm=arms(size))


def confounded(stream: np.random.Generator, size: int) -> pd.DataFrame:
    z = stream.normal(size=size)
    arm = np.where(stream.uniform(size=size) < expit(0.8 * z), "b", "a")
    responder = stream.uniform(size=size) < confounded_risk(z)
    return followed(stream, confounded_hazard(z)[:, None]).assign(arm=arm, z=z, responder=responder)


def incomplete(stream: np.random.Generator, size: int) -> pd.DataFrame:
    """Draw ``confounded`` cohorts whose covariate is missing at random given arm and response."""
    whole = confounded(stream, size)
    missing = expit(1.5 * whole["responder"] + 0.8 * (whole["arm"] == "b") - 2)
    return whole.assign(z=whole["z"].mask(stream.uniform(size=size) < missing), patient_id=np.arange(size))


def confounded_risk(z: np.ndarray) -> np.ndarray:
    return np.asarray(expit(0.8 * z - 0.3))


def confounded_hazard(z: np.ndarray) -> np.ndarray:
    return HAZARD * np.exp(0.6 * z)


def counts(stream: np.random.Generator, size: int) -> pd.DataFrame:
    """Draw responders of each arm rather than patients: a row per arm and rate."""
    arm, patients = np.unique(arms(size), return_counts=True)
    return pd.concat(
        [
            pd.DataFrame({"rate": rate, "arm": arm, "patients": patients, "events": stream.binomial(patients, rate)})
            for rate in RATES
        ],
        ignore_index=True,
    )


def repeated(stream: np.random.Generator, size: int) -> pd.DataFrame:
    x, frailty, arm = stream.normal(size=size), stream.normal(size=size), arms(size)
    own = 1 - WITHIN_PATIENT - PER_COVARIATE**2
    rows = []
    for month, rate in MONTHS.items():
        noise = stream.normal(size=size)
        latent = PER_COVARIATE * x + np.sqrt(WITHIN_PATIENT) * frailty + np.sqrt(own) * noise
        seen = stream.uniform(size=size) < ASSESSED
        visit = pd.DataFrame({"patient_id": np.arange(size), "arm": arm, "x": x, "visit_month": month})
        responder = latent < ndtri(rate)
        state = np.where(responder, "CR", np.where(latent < ndtri(rate + PARTIAL), "PR", "NR"))
        rows.append(visit.assign(responder=responder, state=state)[seen])
    visits = pd.concat(rows, ignore_index=True)
    return visits.assign(response=np.where(visits["responder"], "CR", "NR"))


def recurrent(stream: np.random.Generator, size: int) -> pd.DataFrame:
    """Draw Poisson events with a gamma frailty as counting-process rows, the last of each patient without event."""
    end = followed(stream, np.full((size, 1), 1e-12))["day"].to_numpy()
    frailty = stream.gamma(1 / FRAILTY_VARIANCE, FRAILTY_VARIANCE, size)
    numbers = stream.poisson(frailty * FLARES_PER_DAY * end)
    patient = np.repeat(np.arange(size), numbers)
    days = stream.uniform(size=len(patient)) * end[patient]
    rows = pd.DataFrame(
        {
            "patient_id": np.concatenate([patient, np.arange(size)]),
            "stop": np.concatenate([days, end]),
            "event": np.repeat([1, 0], [len(patient), size]),
        }
    ).sort_values(["patient_id", "stop"], ignore_index=True)
    start = rows.groupby("patient_id")["stop"].shift().fillna(0.0)
    return rows.assign(start=start, arm=arms(size)[rows["patient_id"]])


def courses(stream: np.random.Generator, size: int) -> pd.DataFrame:
    level, slope = stream.normal(size=size), stream.normal(size=size)
    patient = np.repeat(np.arange(size), len(YEARS))
    years = np.tile(YEARS, size)
    value = 1 + 0.5 * level[patient] + (0.1 * slope[patient] - FALL_PER_YEAR) * years
    value = value + 0.5 * stream.normal(size=len(patient))
    seen = stream.uniform(size=len(patient)) < ASSESSED
    return pd.DataFrame({"patient_id": patient, "arm": arms(size)[patient], "years": years, "value": value})[seen]


def visited(stream: np.random.Generator, size: int) -> pd.DataFrame:
    """Draw first responses that are seen at the first visit kept after them; ``upper`` is infinite if none is."""
    month = stream.exponential(1 / FIRST_RESPONSES_PER_MONTH, size)[:, None]
    kept = stream.uniform(size=(size, len(VISITS))) < ASSESSED
    lower = np.where(kept & (np.array(VISITS) < month), VISITS, 0).max(axis=1)
    upper = np.where(kept & (np.array(VISITS) >= month), VISITS, np.inf).min(axis=1)
    return pd.DataFrame({"lower": lower, "upper": upper})


FOLLOW_UP = (
    "follow-up in whole days to day 1826, cut by entry into the study (uniform, days 366 to 2922 before the data "
    "lock) and by loss (exponential, 20 % in five years)"
)
DESIGNS = {
    name: Design(name, words, draw)
    for name, words, draw in (
        ("counts", "responders of two arms, binomial, the same rate in both: 30 % and 5 %", counts),
        ("survival", f"exponential times, 45 % free of the event at five years in both arms; {FOLLOW_UP}", survival),
        ("effect", "as survival, with 0.6 times the hazard in one arm", effect),
        (
            "prognostic",
            "as survival, the hazard also 1.65-fold (log 0.5) per standard deviation of a covariate",
            prognostic,
        ),
        (
            "competing",
            "two causes with constant hazards, the same in both arms, which alone would leave 60 % and 95 % free at "
            "five years; follow-up as for survival",
            competing,
        ),
        (
            "confounded",
            "no effect of the arm; a normal covariate z acts on the arm (log odds 0.8 z), the hazard (log 0.6 z) and "
            "the response (log odds 0.8 z - 0.3); follow-up as for survival",
            confounded,
        ),
        (
            "incomplete",
            "as confounded; z is missing with log odds 1.5 (response) + 0.8 (second arm) - 2, in about a third",
            incomplete,
        ),
        (
            "repeated",
            "responses at months 6, 12 and 24 with rates 45, 55 and 60 % in both arms, by thresholds on a normal value "
            "that shares 0.4 of its variance within a patient and 0.16 with a baseline covariate; 85 % of the visits "
            "are assessed, at random; a further 20 % of each visit respond partially",
            repeated,
        ),
        (
            "recurrent",
            "Poisson events at a rate that gives 0.8 in five years, times a gamma frailty of variance 0.5, the same in "
            "both arms; follow-up as for survival",
            recurrent,
        ),
        (
            "courses",
            "values at 0, 0.5, 1, 2, 3 and 5 years that fall by 0.1 a year on average in both arms; standard "
            "deviations 0.5 of the level, 0.1 of the yearly slope, 0.5 of a value; 85 % of the values are there",
            courses,
        ),
        (
            "visited",
            "exponential times to the first response, 45 % by month 6; visits at months 3, 6, 12, 24, 36 and 60, each "
            "kept with probability 85 %",
            visited,
        ),
    )
}
