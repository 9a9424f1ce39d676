"""Cheap noise for values that are printed with few digits: draws of sixteen bits, looked up in a table of quantiles.

A population draws some fifty noise values a patient for secondary laboratory values, doses and levels. Each is rounded
to three or four digits, so that 65,536 equally likely values per draw lose nothing that a reader could see, at a
fraction of the time of exact normal draws.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_VALUES = 1 << 16
_IMPOSSIBLE = 1e-10

Float32Array = npt.NDArray[np.float32]
Noise: TypeAlias = npt.NDArray[np.floating[Any]]
"""Numbers of the precision of their source."""


class NoiseSource(Protocol):
    """What noise of printed values is drawn from: a ``Generator`` or :class:`CoarseNoise`."""

    def standard_normal(self, size: int | tuple[int, ...]) -> Noise:
        """Draw standard normal values."""
        ...

    def random(self, size: int | tuple[int, ...]) -> Noise:
        """Draw values uniform on (0, 1)."""
        ...

    def integers(self, low: int, high: int, size: int) -> npt.NDArray[np.int64]:
        """Draw whole numbers from ``low`` to ``high - 1``."""
        ...

    def poisson(self, lam: Noise) -> npt.NDArray[np.integer[Any]]:
        """Draw a Poisson number for each mean."""
        ...


Source: TypeAlias = Callable[[np.random.Generator], NoiseSource]
"""Makes of a generator what values are drawn from."""


def as_it_is(generator: np.random.Generator) -> NoiseSource:
    """Draw from the generator itself."""
    return generator


class CoarseNoise:
    """Draws of sixteen bits each from the bit stream of a generator, as 32-bit numbers.

    Parameters
    ----------
    generator
        Its bit stream is used up four draws at a time.

    Examples
    --------
    >>> noise = CoarseNoise(np.random.Generator(np.random.Philox(key=1)))
    >>> z = noise.standard_normal((2, 50_000))
    >>> z.shape, z.dtype.name, bool(abs(z.mean()) < 0.02), bool(abs(z.std() - 1) < 0.02)
    ((2, 50000), 'float32', True, True)
    >>> bool(abs(noise.poisson(np.full(50_000, 0.7)).mean() - 0.7) < 0.02)
    True
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._bits = generator.bit_generator

    def standard_normal(self, size: int | tuple[int, ...]) -> Float32Array:
        """Draw standard normal values; the largest in size is 4.3."""
        return _normal_quantiles().take(self._draw(size))

    def random(self, size: int | tuple[int, ...]) -> Float32Array:
        """Draw values uniform on (0, 1), a multiple of 1/65,536 away from 1/131,072."""
        return np.asarray((self._draw(size) + np.float32(0.5)) / np.float32(_VALUES))

    def integers(self, low: int, high: int, size: int) -> npt.NDArray[np.int64]:
        """Draw whole numbers from ``low`` to ``high - 1``, of which there are far fewer than 65,536."""
        return low + (self._draw(size).astype(np.int64) * (high - low) >> 16)

    def poisson(self, lam: Noise) -> npt.NDArray[np.int8]:
        """Draw a Poisson number for each mean by inversion, from 32 bits, since a mean may be small; at most 30."""
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(-(-len(lam) // 2))
        uniform = raw.astype("<u8", copy=False).view("<u4")[: len(lam)] * np.float32(2.0**-32)
        mean = lam.astype(np.float32, copy=False)
        probability = np.exp(-mean)
        number = np.zeros(len(mean), dtype=np.int8)
        left = np.flatnonzero(uniform > probability)
        mean, uniform, probability = mean[left], uniform[left], probability[left]
        below = probability.copy()
        for count in range(1, 31):
            number[left] = count
            probability *= mean / np.float32(count)
            below += probability
            # The sum may stay just below a draw that rounded to one; what is impossible is not drawn.
            more = np.flatnonzero((uniform > below) & ((probability > _IMPOSSIBLE) | (count < mean)))
            if not more.size:
                break
            left, mean, uniform = left[more], mean[more], uniform[more]
            probability, below = probability[more], below[more]
        return number

    def _draw(self, size: int | tuple[int, ...]) -> npt.NDArray[np.uint16]:
        wanted = size if isinstance(size, int) else prod(size)
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(-(-wanted // 4))
        return raw.astype("<u8", copy=False).view("<u2")[:wanted].reshape(size)


@cache
def _normal_quantiles() -> Float32Array:
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(_VALUES) + 0.5) / _VALUES), dtype=np.float32)
