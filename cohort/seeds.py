"""A tree of named, counter-based random streams.

Each purpose (``"baseline"``, ``"calendar"``, ...) of each block of patients draws from its own Philox stream, keyed
by a digest of the path that names it. Adding a purpose, a block or a worker therefore moves no other value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

from cohort.errors import UsageError


@dataclass(frozen=True, slots=True)
class SeedTree:
    """A node of the tree.

    Parameters
    ----------
    seed
        Non-negative integer chosen by the user.
    path
        Names from the root to this node.

    Raises
    ------
    UsageError
        If ``seed`` is negative.

    Examples
    --------
    >>> tree = SeedTree(2025)
    >>> a = tree.child("baseline").generator().random()
    >>> a == tree.child("baseline").generator().random()
    True
    >>> a == tree.child("calendar").generator().random()
    False
    """

    seed: int
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(
                "the seed must be a whole number, zero or above",
                where="--seed",
                got=str(self.seed),
                remedy="choose for instance 2025",
            )

    def child(self, *names: str | int) -> SeedTree:
        """Return the node below this one that ``names`` lead to."""
        return SeedTree(self.seed, self.path + tuple(str(name) for name in names))

    def generator(self) -> np.random.Generator:
        """Return a fresh generator of this node's stream; each call starts the stream anew."""
        text = "/".join((str(self.seed), *self.path)).encode()
        digest = hashlib.blake2b(text, digest_size=16, person=b"lncohort-seed").digest()
        return np.random.Generator(np.random.Philox(_Key(digest)))  # type: ignore[arg-type]  # the stubs know one kind only


class _Key(ISeedSequence):
    """Hands a key to Philox as if hashed from a seed: given as ``key``, it would gather entropy first and drop it."""

    def __init__(self, digest: bytes) -> None:
        self._key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def generate_state(self, _n_words: int, _dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[Any]:
        """Return the key."""
        return self._key
