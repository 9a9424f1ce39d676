"""What a borrowed value is: a number that another cohort published, its precision, and the range of several.

A range runs from the lowest lower to the highest upper 95 % limit of the published values, so that it holds both the
differences between cohorts and the sampling error of small ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from analyses.kernels.proportions import normal_quantile, wilson_interval
from cohort.codes import Status
from cohort.provenance import parameter

MEAN, MEDIAN, PROPORTION, RATE = "mean", "median", "proportion", "rate_per_100_patient_years"

_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of the median over that of the mean, at normal values."""
_QUARTILES_APART = 1.3489795003921634
"""Distance of the quartiles of a normal distribution in standard deviations."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published value: a mean with its SD, a median with its quartiles, a proportion, a rate or a target band.

    ``value`` is in the unit of the cohort tables; ``patients`` is missing where the source does not say on how many
    patients it rests. ``band`` is a target that a protocol aims at.
    """

    cohort: str
    source: str
    value: float
    patients: int | None = None
    sd: float | None = None
    quartiles: tuple[float, float] | None = None
    band: tuple[float, float] | None = None

    def limits(self, statistic: str) -> tuple[float, float]:
        """Return the 95 % limits of the value, or the value twice where its precision is not published.

        Means: normal approximation. Medians: normal approximation on the logarithmic scale, the standard deviation
        taken from the quartiles. Proportions: Wilson. Bands are their own limits.

        Examples
        --------
        >>> low, high = Published("demo", "demo", 35.0, patients=100, sd=10.0).limits("mean")
        >>> round(low, 2), round(high, 2)
        (33.04, 36.96)
        >>> Published("demo", "demo", 9.6).limits("rate_per_100_patient_years")
        (9.6, 9.6)
        """
        if self.band is not None:
            return self.band
        if self.patients is None:
            return self.value, self.value
        z, root = normal_quantile(0.95), math.sqrt(self.patients)
        if self.sd is not None:
            return self.value - z * self.sd / root, self.value + z * self.sd / root
        if self.quartiles is not None:
            sd = math.log(self.quartiles[1] / self.quartiles[0]) / _QUARTILES_APART
            ratio = math.exp(z * _MEDIAN_ERROR * sd / root)
            return self.value / ratio, self.value * ratio
        if statistic == PROPORTION:
            interval = wilson_interval(self.value * self.patients, self.patients)
            return float(interval.low), float(interval.high)
        return self.value, self.value

    def __str__(self) -> str:
        spread = f" SD {self.sd:g}" if self.sd is not None else ""
        if self.quartiles is not None:
            spread = f" (quartiles {self.quartiles[0]:g} to {self.quartiles[1]:g})"
        shown = f"{self.band[0]:g} to {self.band[1]:g}" if self.band is not None else f"{self.value:g}{spread}"
        return f"{shown} [{self.cohort}]"


@dataclass(frozen=True, slots=True)
class Reference:
    """What one number of a cohort is compared with: a term, how it is summarised, and published values of it."""

    term: str
    statistic: str
    published: tuple[Published, ...]

    @property
    def range(self) -> tuple[float, float]:
        """From the lowest lower to the highest upper 95 % limit of the published values."""
        limits = [one.limits(self.statistic) for one in self.published]
        return min(low for low, _ in limits), max(high for _, high in limits)

    def __str__(self) -> str:
        return "; ".join(map(str, self.published))


def reference(term: str, statistic: str, unit: str, *published: Published) -> Any:
    """Declare a dataclass field that holds a :class:`Reference`, with the sources of its values as provenance."""
    sources = "; ".join(dict.fromkeys(f"{one.cohort}: {one.source}" for one in published))
    words = f"{unit}, {statistic.replace('_', ' ')}" if unit else statistic.replace("_", " ")
    return parameter(Reference(term, statistic, published), words, Status.BORROWED, sources)


@dataclass(frozen=True, slots=True)
class NamedCohort:
    """A named cohort; called with a value, it gives the published value with the cohort's name and source."""

    name: str
    source: str
    patients: int | None = None

    def __call__(self, value: float, **details: Any) -> Published:
        return Published(self.name, self.source, value, **({"patients": self.patients} | details))
