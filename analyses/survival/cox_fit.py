"""A fitted Cox model: its estimates as tidy tables, and the door to its tests, residuals and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.kernels.cox_problem import Ties
from analyses.kernels.probability_interval import IntervalScale
from analyses.kernels.proportional_hazards import TimeTransform
from analyses.survival import cox_predictions, cox_residual_frames, cox_tests
from analyses.survival.cox_data import VANISHING, CoxData
from analyses.survival.cox_predictions import PredictionKind
from analyses.survival.cox_residual_frames import ResidualKind
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoxFit:
    """A fitted Cox model with ``p`` terms.

    Attributes
    ----------
    terms
        Names of the coefficients.
    coefficients
        Shape ``(p,)``: log hazard ratios, NaN for terms without an estimate.
    variance
        Shape ``(p, p)``: inverse information, NaN for terms without an estimate.
    robust_variance
        Shape ``(p, p)``: sandwich variance, or None when it was not asked for.
    notes
        For each term why there is no estimate, else an empty text.
    log_likelihood, log_likelihood_null
        Maximised log partial likelihood and that of all coefficients zero; NaN without events.
    converged
        Whether every term has an estimate.
    n, n_events
        Rows and events used, unweighted.
    conf_level
        Level of the intervals of :meth:`tidy`.
    method
        The model in words.
    spec
        Arguments of the call.
    data
        What was fitted.
    left_at
        Shape ``(p,)``: where the iterations ended: ``coefficients``, 0 for aliased terms and a large finite number
        for those that run to infinity.
    """

    terms: tuple[str, ...]
    coefficients: FloatArray
    variance: FloatArray
    robust_variance: FloatArray | None
    notes: tuple[str, ...]
    log_likelihood: float
    log_likelihood_null: float
    converged: bool
    n: int
    n_events: int
    conf_level: float
    method: str
    spec: dict[str, object]
    data: CoxData = field(repr=False)
    left_at: FloatArray = field(repr=False)

    @property
    def std_errors(self) -> FloatArray:
        """Standard errors of the log hazard ratios, shape ``(p,)``: robust when the fit is, else model-based.

        A robust one that vanishes (a single cluster, rows that all fail together) is NaN.
        """
        model_based = np.sqrt(np.diag(self.variance))
        if self.robust_variance is None:
            return np.asarray(model_based)
        errors = np.sqrt(np.diag(self.robust_variance))
        return np.where(errors > VANISHING * model_based, errors, np.nan)

    @property
    def used_variance(self) -> FloatArray:
        """Variance that intervals and Wald tests rest on, shape ``(p, p)``: robust when the fit is."""
        return self.variance if self.robust_variance is None else self.robust_variance

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return one row per term.

        Parameters
        ----------
        exponentiate
            False for ``statistic="log_hazard_ratio"``; True for ``"hazard_ratio"``, with ``estimate, conf_low,
            conf_high`` exponentiated and ``std_error`` left on the log scale.

        Returns
        -------
        ResultTable
            ``term, estimate, std_error, conf_low, conf_high, conf_level``, two-sided Wald ``p_value``, ``n`` rows,
            ``n_events`` events, ``method``, and in ``note`` why a term has no estimate or no standard error. The
            frame is laid out when it is first read.
        """
        rows = partial(
            cox_tests.estimates,
            self.terms,
            self.coefficients,
            self.std_errors,
            self.notes,
            self.conf_level,
            exponentiate,
        )
        constants: dict[str, Any] = {
            "analysis": "survival",
            "n": float(self.n),
            "n_events": float(self.n_events),
            "conf_level": self.conf_level,
            "method": self.method,
        }
        return ResultTable(lambda: result_table(rows(), **constants).frame, {"spec": self.spec})

    def glance(self) -> ResultTable:
        """Return one row about the whole model.

        Returns
        -------
        ResultTable
            ``statistic="log_likelihood"``: ``estimate`` the maximised log partial likelihood, ``p_value`` of the test
            that all coefficients are zero, ``n``, ``n_events``; ``method`` names the test, which is the
            likelihood-ratio test for an unweighted model-based fit and otherwise the Wald test with the variance of
            :attr:`std_errors`; ``note`` gives ``df=...``, or why there is no test: a term without an estimate, or a
            singular robust variance (fewer clusters than terms).
        """
        return cox_tests.whole_model(self)

    def test_proportional_hazards(self, transform: TimeTransform = "km") -> ResultTable:
        """Test each term of the formula for a trend of its coefficients over time (score test).

        Parameters
        ----------
        transform
            Function of time: ``km`` (one minus pooled Kaplan-Meier), ``rank``, ``identity`` or ``log``.

        Returns
        -------
        ResultTable
            ``statistic="chi_square"``, one row per term of the formula, all levels of a categorical together, and a
            row ``GLOBAL``: ``estimate``, ``p_value``, ``n``, ``n_events``; ``note`` is ``df=...``, or why there is no
            test. Columns without an estimate are left out of every test. The test rests on the model-based variance
            even when the fit is robust or weighted; with weights that are not numbers of patients it is only a guide.

        Raises
        ------
        AnalysisError
            For an unknown transform, or ``log`` with an event at time 0.

        References
        ----------
        Grambsch and Therneau (1994), doi:10.1093/biomet/81.3.515.
        """
        return cox_tests.proportional_hazards(self, transform)

    def test_terms(self, terms: Sequence[str]) -> ResultTable:
        """Test that all coefficients of the named terms are zero, together (Wald test).

        Parameters
        ----------
        terms
            Terms of the formula (``"isn_rps_class"`` for all its levels, ``"arm:isn_rps_class"`` for an interaction)
            or single coefficients (``"isn_rps_class=V"``).

        Returns
        -------
        ResultTable
            One row, ``statistic="chi_square"``, ``term`` the names joined by ``" + "``, ``estimate`` the chi-square,
            ``p_value``, ``n``, ``n_events``; ``note`` is ``df=...``, with the coefficients left out of the test
            because they have no estimate, or why there is no test. The variance is robust when the fit is.

        Raises
        ------
        AnalysisError
            For no terms, or a name that is neither a term of the formula nor a coefficient.

        Examples
        --------
        >>> from analyses.survival import fit_cox
        >>> frame = pd.DataFrame({"t": [1, 2, 3, 4, 5, 6], "d": 1, "x": [0, 3, 1, 2, 0, 1], "arm": list("ababba")})
        >>> fit_cox(frame, "arm + x", duration_col="t", event_col="d").test_terms(["arm", "x"]).frame["note"].item()
        'df=2'
        """
        return cox_tests.wald_test(self, terms)

    def contrasts(self, combinations: Mapping[str, Mapping[str, float]], *, exponentiate: bool = False) -> ResultTable:
        """Estimate linear combinations of coefficients, for instance the hazard ratio of the arms within a class.

        Parameters
        ----------
        combinations
            For each label the coefficients and their multipliers, for instance
            ``{"arm within V": {"arm=tac": 1, "arm=tac:isn_rps_class=V": 1}}``.
        exponentiate
            As in :meth:`tidy`.

        Returns
        -------
        ResultTable
            One row per combination, ``contrast`` its label: ``estimate, std_error, conf_low, conf_high, conf_level,
            p_value``; ``statistic`` as in :meth:`tidy`; ``note`` says when a coefficient has no estimate.

        Raises
        ------
        AnalysisError
            For no combinations, an empty one, or an unknown coefficient.
        """
        return cox_tests.contrasts(self, combinations, exponentiate=exponentiate)

    def concordance(self) -> ResultTable:
        """Return the concordance of the linear predictor with the times (Harrell's C), and the pairs behind it.

        Returns
        -------
        ResultTable
            A row ``statistic="concordance"`` with ``estimate, std_error, conf_low, conf_high`` (infinitesimal
            jackknife over rows, or clusters when the fit has them; the coefficients taken as given), then rows of
            ``statistic="pairs"`` with ``term`` ``concordant``, ``discordant``, ``tied_score``, ``tied_time`` and
            ``tied_both``: numbers of pairs, or sums of products of weights. Pairs are formed within strata, and under
            delayed entry only between rows at risk together.

        References
        ----------
        Harrell, Califf, Pryor, Lee and Rosati (1982), doi:10.1001/jama.1982.03320430047030.
        """
        return cox_tests.concordance_table(self)

    def residuals(self, kind: ResidualKind) -> pd.DataFrame:
        """Return residuals of the model.

        Parameters
        ----------
        kind
            ``martingale`` (events less events expected), ``deviance``, ``score`` (each row's part of the score),
            ``dfbeta`` (approximate change of the coefficients when the row is added, with its whole weight),
            ``dfbetas`` (the same in model-based standard errors), ``schoenfeld`` (covariates of each event less their
            risk-weighted mean) or ``scaled_schoenfeld`` (these times the variance and the number of events, plus the
            coefficients: an estimate of each coefficient at each event time). Residuals are exact for the model's
            handling of ties, and unweighted except for ``dfbeta`` and ``dfbetas``.

        Returns
        -------
        pandas.DataFrame
            With the index of the data. ``martingale`` and ``deviance``: a column of that name, one row per row of the
            data. ``score, dfbeta, dfbetas``: a column per term. The Schoenfeld kinds: ``time`` and a column per term,
            one row per event, by stratum, time and row. Columns of terms without an estimate are NaN.

        Raises
        ------
        AnalysisError
            For an unknown kind.

        References
        ----------
        Therneau, Grambsch and Fleming (1990), doi:10.1093/biomet/77.1.147. Schoenfeld (1982),
        doi:10.1093/biomet/69.1.239. Grambsch and Therneau (1994), doi:10.1093/biomet/81.3.515.

        Examples
        --------
        >>> from analyses.survival import fit_cox
        >>> frame = pd.DataFrame({"t": [1, 2, 3], "d": [1, 1, 0], "x": [0.0, 1.0, 0.0]})
        >>> fit = fit_cox(frame, "x", duration_col="t", event_col="d")
        >>> float(fit.residuals("martingale")["martingale"].sum().round(9)) + 0.0
        0.0
        """
        return cox_residual_frames.residual_frame(self, kind)

    def coefficients_over_time(self) -> ResultTable:
        """Return the scaled Schoenfeld residuals as a result table, the points of a Schoenfeld plot.

        Returns
        -------
        ResultTable
            ``statistic="log_hazard_ratio_at_event"``, one row per term with an estimate and event, by term, then
            stratum, time and row: ``group`` the stratum, ``time``, ``estimate``; its mean over time is about the
            coefficient. Without events, one row per term with the reason.
        """
        return cox_residual_frames.coefficients_over_time(self)

    def augment(self) -> pd.DataFrame:
        """Return one row per row of the data, with its index.

        Returns
        -------
        pandas.DataFrame
            ``linear_predictor`` (with the offset, not centred), ``relative_hazard`` its exponential, ``expected``
            events, ``martingale`` and ``deviance`` residuals. NaN throughout when the iterations did not converge;
            predictors are NaN for rows on which a term that runs to infinity bears.
        """
        return cox_residual_frames.augmented(self)

    def baseline_hazard(self, *, ties: Ties | None = None) -> ResultTable:
        """Return the cumulative baseline hazard: that of a row with every covariate and the offset zero.

        Parameters
        ----------
        ties
            ``breslow`` or ``efron`` increments; None for the handling of ties of the model.

        Returns
        -------
        ResultTable
            ``statistic="cumulative_hazard"``, one row per stratum (``group``) and event time: ``estimate, std_error,
            conf_low, conf_high`` (log scale), ``n`` the number (weight) at risk and ``n_events`` the number (weight)
            of events at that time. Zero may lie far outside the data: use :meth:`predict` for covariates of interest.

        References
        ----------
        Breslow (1974), doi:10.2307/2529620. Tsiatis (1981), doi:10.1214/aos/1176345329, for the variance.
        """
        return cox_predictions.baseline_hazard(self, ties)

    def predict(
        self,
        data: pd.DataFrame,
        *,
        kind: PredictionKind = "survival",
        times: Sequence[float] | None = None,
        conf_type: IntervalScale = "log-log",
        ties: Ties | None = None,
    ) -> ResultTable:
        """Predict for new rows.

        Parameters
        ----------
        data
            New rows, with the columns of the formula and, where the model has them, the offset and (for curves)
            the strata.
        kind
            ``survival`` or ``cumulative_hazard`` over time from entry 0, ``linear_predictor`` (with the offset, not
            centred) or ``relative_hazard``, its exponential: the hazard ratio against a row of zeros.
        times
            Times to predict survival or cumulative hazard at, the order given is kept; None for the event times of
            the row's stratum.
        conf_type
            Scale of the interval of survival, as in :func:`analyses.survival.kaplan_meier`. A cumulative hazard and a
            relative hazard have intervals symmetric on the log scale.
        ties
            Handling of ties in the hazard increments; None for that of the model.

        Returns
        -------
        ResultTable
            ``statistic=kind``, one row per new row (``group`` its index label as text) and time. ``std_error`` on the
            scale of the estimate, with the part of the coefficients from the robust variance when the fit is robust;
            the part of the hazard increments is model-based. Beyond the last time observed in the stratum there is
            no prediction, and a ``note`` says so.

        Raises
        ------
        AnalysisError
            For no rows, an unknown kind, times that are negative, not finite or do not go with the kind, unseen
            levels or strata, missing values.

        References
        ----------
        Tsiatis (1981), doi:10.1214/aos/1176345329.

        Examples
        --------
        >>> from analyses.survival import fit_cox
        >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "d": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
        >>> fit = fit_cox(frame, "x", duration_col="t", event_col="d")
        >>> curve = fit.predict(pd.DataFrame({"x": [0.0]}), times=[2.5]).frame
        >>> curve[["group", "time", "estimate"]].round(3).to_numpy().tolist()
        [['0', 2.5, 0.698]]
        """
        return cox_predictions.predict(self, data, kind=kind, times=times, conf_type=conf_type, ties=ties)

    def table(self, rows: pd.DataFrame, **constants: object) -> ResultTable:
        """Return rows about this fit as a result table; numbers of rows and events unless the rows have their own."""
        for name, value in (("n", float(self.n)), ("n_events", float(self.n_events))):
            if name not in rows.columns:
                constants[name] = value
        return result_table(rows, metadata={"spec": self.spec}, analysis="survival", **constants)
