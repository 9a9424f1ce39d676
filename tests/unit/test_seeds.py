"""Protects the tree of random streams: each name its own stream, restarted at will, whatever else is drawn."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from cohort.errors import UsageError
from cohort.seeds import SeedTree


def draw(tree: SeedTree) -> list[float]:
    return tree.generator().random(4).tolist()


def test_a_stream_starts_anew_with_every_generator() -> None:
    tree = SeedTree(1).child("baseline")
    assert draw(tree) == draw(tree)
    assert draw(tree) == draw(SeedTree(1).child("baseline"))


def test_drawing_from_one_stream_moves_no_other() -> None:
    tree = SeedTree(1)
    before = draw(tree.child("labs"))
    tree.child("baseline").generator().random(10_000)
    assert draw(tree.child("labs")) == before


def test_names_seeds_and_blocks_have_different_streams() -> None:
    trees = [
        SeedTree(1), SeedTree(2), SeedTree(1).child("a"), SeedTree(1).child("b"), SeedTree(1).child("a", 0),
        SeedTree(1).child("a", 1), SeedTree(1).child("a", "b"), SeedTree(1).child("b", "a"), SeedTree(11).child("a"),
    ]  # fmt: skip
    for one, other in itertools.combinations(trees, 2):
        assert draw(one) != draw(other), (one, other)


def test_steps_of_a_path_may_be_taken_one_by_one_and_numbers_are_names() -> None:
    assert SeedTree(1).child("a", "b") == SeedTree(1).child("a").child("b")
    assert SeedTree(1).child("block", 3) == SeedTree(1).child("block", "3")


def test_streams_are_counter_based() -> None:
    assert isinstance(SeedTree(1).generator().bit_generator, np.random.Philox)


def test_a_stream_is_philox_at_the_key_that_its_path_has() -> None:
    text = b"2025/replicates/7"
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16, person=b"lncohort-seed").digest(), "little")
    plain = np.random.Generator(np.random.Philox(key=key))
    assert plain.random(5).tolist() == SeedTree(2025).child("replicates", 7).generator().random(5).tolist()


def test_any_whole_number_from_zero_is_a_seed() -> None:
    assert draw(SeedTree(0)) != draw(SeedTree(10**30))


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(
        UsageError, match="--seed: the seed must be a whole number, zero or above; got -1; choose for i"
    ):
        SeedTree(-1)
