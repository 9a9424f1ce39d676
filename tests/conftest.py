"""What several test files share: one generated cohort, copies of its directory to spoil, and the installed command."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import analyses.figures.svg
import synthetic.setting
from cohort.codes import Status
from cohort.output import new_directory
from cohort.record import Study
from cohort.seeds import SeedTree
from cohort.store import Cohort, write_cohort
from cohort.targets import load_study
from synthetic.calibrate import CalibratedPopulation, Calibration, calibrated_population
from synthetic.design import Design, design_of
from synthetic.dials import PARTS, Dial, admissible, contradiction, parameters
from synthetic.generate import GeneratedCohort, generate_exact
from synthetic.missing import Mechanism
from synthetic.model import PatientModel
from synthetic.population import draw_patients
from synthetic.reconstruct import reconstruct
from synthetic.scenario import Scenario
from synthetic.setting import Setting
from synthetic.story import Story, patient_ids
from synthetic.tables import events_frame, patients_frame, treatments_frame, truth_frames, visits_frame

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("steady")

COMMAND = Path(sys.executable).parent / "lncohort"

Run = Callable[..., subprocess.CompletedProcess[str]]
Rewrite = Callable[[Path, str, Callable[[pa.Table], pa.Table]], None]
Spoil = Callable[..., None]


@pytest.fixture(scope="session")
def study() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="session")
def generated(study: Study) -> GeneratedCohort:
    return generate_exact(study, seed=2025)


@pytest.fixture(scope="session")
def written_once(generated: GeneratedCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "cohort"
    with new_directory(folder) as scratch:
        write_cohort(generated.cohort, scratch, generated.truth)
    return folder


@pytest.fixture
def cohort_folder(written_once: Path, tmp_path: Path) -> Path:
    """Give a cohort directory of its own to a test, in a folder that holds nothing else."""
    folder = tmp_path / "place" / "cohort"
    shutil.copytree(written_once, folder)
    return folder


@pytest.fixture(scope="session")
def rewrite() -> Rewrite:
    """Give a function that replaces a table of a cohort directory by what another function makes of it."""

    def apply(folder: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
        path = folder / f"{table}.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return apply


@pytest.fixture(scope="session")
def spoil(rewrite: Rewrite) -> Spoil:
    """Give a function that puts one value into one row of a cohort directory."""

    def apply(folder: Path, table: str, column: str, value: object, row: int = 0) -> None:
        def change(content: pa.Table) -> pa.Table:
            values = content.column(column).to_pylist()
            values[row] = value
            place = content.column_names.index(column)
            return content.set_column(place, column, pa.array(values, content.schema.field(column).type))

        rewrite(folder, table, change)

    return apply


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures blank but for their description, for tests of the words of a page: drawing takes most time."""
    monkeypatch.setattr(analyses.figures.svg, "_drawn", lambda _: '<svg id="blank"></svg>')


@pytest.fixture(scope="session")
def lncohort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a function that runs the installed command, in a process of its own, in a folder outside the checkout."""
    outputs = tmp_path_factory.mktemp("outputs")
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("command_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        asked, answers, numbers = server.stdin, server.stdout, itertools.count()

        def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
            number = next(numbers)
            stdout, stderr = outputs / f"{number}.out", outputs / f"{number}.err"
            command = [str(COMMAND), *map(str, arguments)]
            request = {"arguments": command, "cwd": str(cwd), "stdout": str(stdout), "stderr": str(stderr)}
            asked.write(json.dumps(request) + "\n")
            asked.flush()
            code = int(answers.readline())
            return subprocess.CompletedProcess(command, code, stdout.read_text("utf-8"), stderr.read_text("utf-8"))

        yield run
        asked.close()


@dataclass(frozen=True)
class Drawn:
    """Patients of a population drawn in memory: setting, what is intended, tables and truth."""

    setting: Setting
    story: Story
    cohort: Cohort
    truth: dict[str, pd.DataFrame]


@pytest.fixture(scope="session")
def design(study: Study) -> Design:
    return design_of(study, reconstruct(study))


@pytest.fixture(scope="session")
def cheaply() -> Callable[[int], AbstractContextManager[None]]:
    """Give a context in which scenarios are calibrated on 2**power quasi-random patients: tenths of a second each."""

    @contextmanager
    def context(power: int) -> Iterator[None]:
        def population_for(design: Design, model: PatientModel, **options: Any) -> CalibratedPopulation:
            return calibrated_population(design, model, **(options | {"power": power}))

        def calibration_for(design: Design, model: PatientModel, **options: Any) -> Calibration:
            return population_for(design, model, **options).calibration

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(synthetic.setting, "calibrated_population", population_for)
            patch.setattr(synthetic.setting, "calibration_for", calibration_for)
            yield

    return context


@pytest.fixture(scope="session")
def draw(design: Design) -> Callable[..., Drawn]:
    """Give a function that draws a small population under a setting."""

    def drawn(setting: Setting, size: int, seed: int = 1) -> Drawn:
        own = SeedTree(seed).child("population", "block", 0)
        story = draw_patients(patient_ids(design, 1, size, size), setting, own)
        tables = (
            patients_frame(story, design),
            visits_frame(story, setting.model, own),
            treatments_frame(story, setting.model, own),
            events_frame(story),
        )
        cohort = Cohort(*tables, study=design.study, seed=seed, mode="population")
        return Drawn(setting, story, cohort, truth_frames(story, setting))

    return drawn


@pytest.fixture(scope="session")
def scenarios() -> st.SearchStrategy[Scenario]:
    """Give a strategy of valid scenarios: up to five dials, most near their defaults, some at the ends of the range."""

    def numbers(part: str, name: str, default: float) -> st.SearchStrategy[float]:
        allowed = admissible(part, name)
        assert allowed is not None
        inset = 1e-6 if allowed.open_ends else 0.0
        low, high = allowed.low + inset, allowed.high - inset
        span = 2 * abs(default) or 0.5 * min(high, 1.0)
        if isinstance(default, int):
            near = st.integers(max(int(low), default - int(span)), min(int(high), default + int(span)))
            return st.one_of(near, near, near, st.sampled_from([int(low), int(high)]))
        # A positive number is halved or doubled, any other moved by up to its double.
        near = st.floats(max(low, default / 2 if default > 0 else default - span), min(high, default + span / 2))
        return st.one_of(near, near, near, st.sampled_from([low, high]))

    def value(part: str, name: str) -> st.SearchStrategy[Any]:
        default = parameters(part)[name].default
        if name == "mechanism":
            return st.sampled_from(list(Mechanism)).map(str)
        if isinstance(default, str):
            return st.dates(date(2015, 1, 1), date(2030, 1, 1)).map(date.isoformat)
        if not isinstance(default, tuple):
            return numbers(part, name, default)
        several = st.tuples(*(numbers(part, name, item) for item in default))
        if name in ("class_mix", "background_share", "induction_share"):
            return several.filter(lambda found: sum(found) > 0.1).map(lambda found: tuple(shares_of(found)))
        return several.map(sorted).map(tuple) if name == "visit_window_months" else several

    def shares_of(found: tuple[float, ...]) -> list[float]:
        shares = [item / sum(found) for item in found]
        return [*shares[:-1], max(0.0, 1.0 - sum(shares[:-1]))]

    every = [(part, name) for part in PARTS for name in parameters(part)]
    # Dials of how often and to whom things happen are turned as often as all the constants of laboratories and drugs.
    course = [pair for pair in every if pair[0] in ("missing", "effect", "centres", "calendar", "assignment", "course")]
    some = st.lists(st.one_of(st.sampled_from(course), st.sampled_from(every)), min_size=1, max_size=5, unique=True)

    def scenario(pairs: list[tuple[str, str]]) -> st.SearchStrategy[Scenario]:
        turned = [
            st.builds(Dial, st.just(part), st.just(name), value(part, name), st.just(Status.ASSUMED), st.just("turned"))
            for part, name in pairs
        ]
        return st.tuples(*turned).map(lambda dials: Scenario("turned", dials=dials))

    return some.flatmap(scenario).filter(lambda found: contradiction(found.model()) is None)
