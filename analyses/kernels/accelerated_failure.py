"""Accelerated failure time models: the logarithm of time is a linear predictor plus scaled noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, log_ndtr

from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.kaplan_meier import BoolArray
from analyses.kernels.newton import Likelihood

Noise = Literal["weibull", "lognormal", "loglogistic"]


@dataclass(frozen=True, slots=True)
class _Curve:
    """A function of the standardised log time with its first two derivatives, each of shape ``(n,)``."""

    value: FloatArray
    first: FloatArray
    second: FloatArray


def _weibull_density(z: FloatArray) -> _Curve:
    return _Curve(z - np.exp(z), 1.0 - np.exp(z), -np.exp(z))


def _weibull_survival(z: FloatArray) -> _Curve:
    return _Curve(-np.exp(z), -np.exp(z), -np.exp(z))


def _lognormal_density(z: FloatArray) -> _Curve:
    return _Curve(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), -z, np.full_like(z, -1.0))


def _lognormal_survival(z: FloatArray) -> _Curve:
    value = log_ndtr(-z)
    hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - value)
    return _Curve(value, -hazard, -hazard * (hazard - z))


def _loglogistic_density(z: FloatArray) -> _Curve:
    p = expit(z)
    return _Curve(z - 2 * np.logaddexp(0, z), 1 - 2 * p, -2 * p * (1 - p))


def _loglogistic_survival(z: FloatArray) -> _Curve:
    p = expit(z)
    return _Curve(-np.logaddexp(0, z), -p, -p * (1 - p))


_DENSITY: dict[str, Callable[[FloatArray], _Curve]] = {
    "weibull": _weibull_density,
    "lognormal": _lognormal_density,
    "loglogistic": _loglogistic_density,
}
_SURVIVAL: dict[str, Callable[[FloatArray], _Curve]] = {
    "weibull": _weibull_survival,
    "lognormal": _lognormal_survival,
    "loglogistic": _loglogistic_survival,
}


def log_survival(noise: Noise, standardised: FloatArray) -> FloatArray:
    """Return the log of survival at standardised log times, in the shape given.

    Examples
    --------
    >>> log_survival("weibull", np.array([0.0])).tolist()
    [-1.0]
    """
    with np.errstate(over="ignore"):
        return _SURVIVAL[noise](standardised).value


@dataclass(frozen=True, slots=True, eq=False)
class AcceleratedFailure:
    """Data of an accelerated failure time model; parameters are the coefficients, then the log of the scale.

    Attributes
    ----------
    design
        Shape ``(n, p)``, with a column of ones.
    durations
        Shape ``(n,)``, above zero.
    events
        Shape ``(n,)``.
    weights
        Shape ``(n,)``.
    entries
        Shape ``(n,)``, below ``durations``; None when all are observed from 0.
    noise
        Distribution of the noise: extreme values for ``weibull``, normal, logistic.
    """

    design: FloatArray
    durations: FloatArray
    events: BoolArray
    weights: FloatArray
    entries: FloatArray | None
    noise: Noise

    def start(self) -> FloatArray:
        """Return parameters to begin with: least squares of the log times, as if all were events."""
        log_time = np.log(self.durations)
        root = np.sqrt(self.weights)
        found = np.linalg.lstsq(self.design * root[:, None], log_time * root, rcond=None)[0]
        spread = np.sqrt(np.average((log_time - self.design @ found) ** 2, weights=self.weights))
        return np.append(found, np.log(max(float(spread), 1e-3)))

    def one_event(self, parameters: FloatArray) -> FloatArray:
        """Return about the information that one event gives on each parameter, shape ``(p,)``."""
        widest = np.max(self.design**2, axis=0) / np.exp(2 * parameters[-1])
        return np.asarray(np.append(widest, 1.0) * self.weights.mean())

    def likelihood(self, parameters: FloatArray) -> Likelihood:
        """Return the log-likelihood and its derivatives, weighted; densities are of the time, not of its logarithm."""
        size = len(parameters)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scale = np.exp(parameters[-1])
            z = (np.log(self.durations) - self.design @ parameters[:-1]) / scale
            dies, lives = _DENSITY[self.noise](z), _SURVIVAL[self.noise](z)
            parts = [(z, _chosen(self.events, dies, lives), 1.0, np.ones(len(z), dtype=np.bool_))]
            if self.entries is not None and np.any(self.entries > 0):
                late = self.entries > 0
                began = (np.log(np.where(late, self.entries, 1.0)) - self.design @ parameters[:-1]) / scale
                parts.append((began, _SURVIVAL[self.noise](began), -1.0, late))
            value = np.where(self.events, -parameters[-1] - np.log(self.durations), 0.0)
            scores = np.zeros((len(z), size))
            scores[:, -1] -= self.events
            hessian = np.zeros((size, size))
            for place, curve, sign, counted in parts:
                used = sign * counted
                value = value + used * curve.value
                scores[:, :-1] -= (used * curve.first / scale)[:, None] * self.design
                scores[:, -1] -= used * place * curve.first
                mass = self.weights * used
                hessian[:-1, :-1] += self.design.T @ ((mass * curve.second / scale**2)[:, None] * self.design)
                mixed = self.design.T @ (mass * (place * curve.second + curve.first) / scale)
                hessian[:-1, -1] += mixed
                hessian[-1, :-1] += mixed
                hessian[-1, -1] += float(np.sum(mass * (place * curve.first + place**2 * curve.second)))
            total = float(self.weights @ value)
        if not (np.isfinite(total) and np.isfinite(hessian).all()):
            total, scores, hessian = -np.inf, np.zeros_like(scores), -np.eye(size)
        return Likelihood(total, self.weights @ scores, hessian, scores)


def _chosen(events: BoolArray, dies: _Curve, lives: _Curve) -> _Curve:
    return _Curve(
        np.where(events, dies.value, lives.value),
        np.where(events, dies.first, lives.first),
        np.where(events, dies.second, lives.second),
    )
