"""Survival of two arms averaged over one population, from a model fitted to some of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyses.columns import FloatArray
from analyses.comparison.bootstrap import Key
from analyses.comparison.event_arms import EventArms
from analyses.comparison.event_model import EventSettings, fit_event
from analyses.comparison.standardised import target_rows
from analyses.kernels.standardised_curve import Averaged
from cohort.errors import AnalysisError


@dataclass(frozen=True, slots=True, eq=False)
class EventAverages:
    """What is averaged.

    Parameters
    ----------
    chosen
        Checked columns, in row order.
    settings
        Of the model to fit.
    estimand
        Whom the averages are over.
    times, tau
        At which survival is read, shape (t,), and the horizon of the area under it, or None.
    """

    chosen: EventArms
    settings: EventSettings
    estimand: str
    times: FloatArray
    tau: float | None

    def require_reach(self) -> None:
        """Refuse a horizon that the curve of an arm does not reach."""
        for name, last in zip(self.chosen.arms, self.reach(np.arange(len(self.chosen.treated))), strict=True):
            if self.tau is not None and last < self.tau:
                raise AnalysisError(
                    "tau lies beyond the last observed time",
                    where=f"tau, group {name!r}",
                    got=f"tau={self.tau:g}, last time {last:g}",
                    remedy="choose a tau that every group reaches",
                )

    def reach(self, rows: npt.NDArray[np.intp]) -> tuple[float, float]:
        """Return the time up to which each arm's curve exists, of some rows."""
        durations, treated = self.chosen.durations[rows], self.chosen.treated[rows]
        if self.settings.strata is None:
            return float(durations.max()), float(durations.max())
        one, zero = (float(durations[own].max(initial=0.0)) for own in (treated, ~treated))
        return one, zero

    def averages(self, rows: npt.NDArray[np.intp]) -> tuple[Averaged, Averaged] | str:
        """Fit the model to some rows and average it, NaN beyond the reach of an arm; or say why it has no estimate."""
        chosen = self.chosen
        model = fit_event(self.settings.rows(rows), chosen.durations[rows], chosen.causes[rows] > 0)
        if isinstance(model, str):
            return model
        asked = np.append(self.times, [] if self.tau is None else [self.tau])
        target = target_rows(chosen.treated[rows], self.estimand)
        one, zero = (
            Averaged(np.where(asked <= last, arm.estimate, np.nan), arm.influence)
            for arm, last in zip(
                model.averages(target, times=self.times, horizon=self.tau), self.reach(rows), strict=True
            )
        )
        return one, zero

    def replicated(self, copies: npt.NDArray[np.intp]) -> dict[Key, FloatArray]:
        """Return the replicates of every row; ``copies`` (b, n)."""
        width = len(self.times) + (self.tau is not None)
        drawn = np.full((2, len(copies), width), np.nan)
        for place, own in enumerate(copies):
            rows = np.repeat(np.arange(len(own)), own)
            treated = self.chosen.treated[rows]
            found = self.averages(rows) if treated.any() and not treated.all() else "one arm"
            if not isinstance(found, str):
                drawn[:, place] = [arm.estimate for arm in found]
        contrast, keyed = self.chosen.contrast, {}
        for place, time in enumerate(self.times.tolist()):
            one, zero = drawn[:, :, place]
            for name, values in zip(self.chosen.arms, (one, zero), strict=True):
                keyed["survival", name, time] = values
            keyed["survival_difference", contrast, time] = one - zero
            keyed["risk_difference", contrast, time] = zero - one
            with np.errstate(divide="ignore", invalid="ignore"):
                keyed["risk_ratio", contrast, time] = np.log((1 - one) / (1 - zero))
        if self.tau is not None:
            one, zero = drawn[:, :, -1]
            for name, values in zip(self.chosen.arms, (one, zero), strict=True):
                keyed["restricted_mean", name, self.tau] = values
            keyed["restricted_mean_difference", contrast, self.tau] = one - zero
        return keyed
