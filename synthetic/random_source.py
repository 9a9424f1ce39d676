"""What patients and their courses are drawn from: pseudo-random, or quasi-random points for calibration and truth."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class RandomSource(Protocol):
    """A stream of values; :class:`numpy.random.Generator` is one."""

    def standard_normal(self, size: int | tuple[int, ...]) -> FloatArray:
        """Draw standard normal values."""
        ...

    def random(self, size: int | tuple[int, ...]) -> FloatArray:
        """Draw values uniform on (0, 1)."""
        ...


class QuasiRandom:
    """Hands out scrambled Sobol dimensions one after the other, as if drawn from a generator.

    Parameters
    ----------
    power
        Base-two logarithm of the number of points.
    dimensions
        How many columns will be asked for at most.
    seed
        Seed of the scrambling.
    """

    def __init__(self, power: int, dimensions: int, seed: int) -> None:
        from scipy.stats import qmc

        self._points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random_base2(power).T
        self._used = 0

    def random(self, size: int | tuple[int, ...]) -> FloatArray:
        """Return the next dimensions, each a value per patient; the last axis of ``size`` counts patients."""
        shape = (size,) if isinstance(size, int) else size
        rows = int(np.prod(shape[:-1], dtype=np.int64))
        taken = self._points[self._used : self._used + rows]
        self._used += rows
        return np.asarray(taken.reshape(shape))

    def standard_normal(self, size: int | tuple[int, ...]) -> FloatArray:
        """Return the next dimensions as standard normal values."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.random(size)))
