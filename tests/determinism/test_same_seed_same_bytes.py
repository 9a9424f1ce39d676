"""A seed names a cohort: same bytes in any process, other patients under another seed, independent streams."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cohort.errors import UsageError
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.generate import generate_exact

PINNED = [276, 872, 934, 406, 750]
COMMAND = Path(sys.executable).parent / "lncohort"


def generate(folder: Path, seed: int, **environment: str) -> dict[str, str]:
    subprocess.run(
        [COMMAND, "generate", "kim2025", "--seed", str(seed), "--out", folder],
        check=True,
        capture_output=True,
        cwd=folder.parent,
        env={**os.environ, **environment},
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_same_bytes_in_another_process_and_place(tmp_path: Path) -> None:
    first = generate(tmp_path / "a", 2025, PYTHONHASHSEED="1", OMP_NUM_THREADS="1")
    (tmp_path / "elsewhere").mkdir()
    second = generate(tmp_path / "elsewhere" / "b", 2025, PYTHONHASHSEED="2", OMP_NUM_THREADS="2", TZ="Asia/Seoul")
    assert first == second
    assert {"cohort.json", "patients.parquet", "visits.parquet", "truth/patients.parquet"} <= set(first)


def test_another_seed_gives_other_patients_with_the_same_rates() -> None:
    study = load_study("kim2025")
    one, other = (generate_exact(study, seed=seed).cohort for seed in (1, 2))
    assert not one.patients["age_years"].equals(other.patients["age_years"])
    assert one.patients["arm"].value_counts().to_dict() == other.patients["arm"].value_counts().to_dict()


def test_streams_depend_on_their_name_only() -> None:
    tree = SeedTree(7)
    before = tree.child("course").generator().random(5)
    tree.child("baseline").generator().random(1000)
    np.testing.assert_array_equal(tree.child("course").generator().random(5), before)
    assert tree.child("a", "b").path == tree.child("a").child("b").path
    assert tree.child("ab").generator().random() != tree.child("a", "b").generator().random()


def test_streams_are_pinned_across_versions() -> None:
    np.testing.assert_array_equal(SeedTree(2025).child("exact", "baseline").generator().integers(0, 1000, 5), PINNED)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="zero or above"):
        SeedTree(-1)
