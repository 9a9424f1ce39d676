"""Bad input to the installed command: one clear message, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cohort.cli.main import app
from cohort.errors import OutputError

Rewrite = Callable[..., None]
Spoil = Callable[..., None]


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content; folders with none."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def refused(lncohort: Callable[..., object], tmp_path: Path) -> Callable[..., str]:
    """Give a function that runs a command which must be refused, and returns its message."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)

    def run(*arguments: object) -> str:
        before = everything(place)
        done = lncohort(*arguments, cwd=place)
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert everything(place) == before
        lines = done.stderr.rstrip("\n").split("\n")
        if lines[0].startswith("Usage:"):
            return " ".join(done.stderr.replace("│", " ").split())
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("error: ")
        return lines[0]

    return run


Refused = Callable[..., str]


def test_an_unknown_study(refused: Refused) -> None:
    for command in (("studies", "kim2024"), ("audit", "kim2024"), ("generate", "kim2024", "--out", "a/b")):
        assert "no such study; got kim2024; did you mean kim2025" in refused(*command)


def test_malformed_study_files(refused: Refused, tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    assert "no such study file" in refused("studies", study)
    study.write_text('name = "mine\n')
    assert f"{study}" in refused("studies", study)
    study.write_text('name = "mine"\ncolour = "red"\n')
    message = refused("generate", study, "--out", "new/out")
    assert str(study) in message
    study.write_bytes(b"\xff\xfe")
    assert "cannot read the study file" in refused("audit", study)


def test_directories_that_are_no_cohorts(refused: Refused, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "foreign").mkdir()
    (place / "file").write_text("mine")
    for command in ("validate", "derive"):
        assert "nowhere: no such folder" in refused(command, "nowhere")
    assert "foreign: not a cohort directory, it holds no cohort.json" in refused("validate", "foreign")
    assert "file: not a folder" in refused("derive", "file")
    assert "no such folder" in refused("analyze", "nowhere", "--out", "new/results")
    assert "no such folder" in refused("reproduce", "--cohort", "nowhere", "--out", "out")
    assert "not a results folder" in refused("report", "foreign", "--out", "page.html")


def unlink(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def truncate(folder: Path) -> None:
    path = folder / "visits.parquet"
    path.write_bytes(path.read_bytes()[:5000])


def other_study(folder: Path) -> None:
    content = json.loads((folder / "cohort.json").read_text("utf-8"))
    (folder / "cohort.json").write_text(json.dumps(content | {"study": "nobody1999"}))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing table": (unlink("events.parquet"), "cohort/events.parquet: the table events is missing"),
    "truncated table": (truncate, "cohort/visits.parquet: not a readable Parquet file"),
    "manifest that is not JSON": (
        lambda folder: (folder / "cohort.json").write_text("hello"), "cohort/cohort.json: cannot read the file",
    ),
    "manifest of another version": (
        lambda folder: (folder / "cohort.json").write_text('{"schema_version": 9}'), "schema version 2 expected; got 9",
    ),
    "study not carried": (other_study, "of a study this package does not carry; got 'nobody1999'; known: aurora1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_cohort_directory(case: str, refused: Refused, cohort_folder: Path) -> None:
    spoil, message = BROKEN[case]
    spoil(cohort_folder)
    assert message in refused("validate", "cohort")
    assert message in refused("analyze", "cohort", "--out", "new/results")


def test_a_missing_column_and_a_wrong_type(refused: Refused, cohort_folder: Path, rewrite: Rewrite) -> None:
    rewrite(cohort_folder, "patients", lambda content: content.drop_columns(["sex"]))
    assert "cohort/patients.parquet: table patients lacks a column: sex; got patient_id, arm" in refused(
        "derive", "cohort"
    )

    def as_text(content: pa.Table) -> pa.Table:
        place = content.column_names.index("upcr_g_g")
        return content.set_column(place, "upcr_g_g", content.column("upcr_g_g").cast(pa.string()))

    patients = pq.read_table(cohort_folder / "patients.parquet")
    pq.write_table(
        patients.append_column("sex", pa.array(["female"] * len(patients))), cohort_folder / "patients.parquet"
    )
    rewrite(cohort_folder, "visits", as_text)
    message = "column visits.upcr_g_g is of the wrong type: double expected; got string"
    assert message in refused("derive", "cohort")
    assert message in refused("validate", "cohort")


FAULTY: dict[str, tuple[str, str, object, str]] = {
    "negative ratio": ("visits", "upcr_g_g", -0.5, "column upcr_g_g, kim2025-001: 1 validation finding; the first: at"),
    "absurd creatinine": ("visits", "serum_creatinine_mg_dl", 88.4, "at most 30 mg/dL; got 88.4"),
    "unknown arm": ("patients", "arm", "placebo", "one of tacrolimus, no_tacrolimus; got placebo"),
    "duplicate patient": ("patients", "patient_id", "kim2025-002", "a row of the key occurs once; got kim2025-002"),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case == "negative ratio" else pytest.mark.slow) for case in FAULTY]
)
def test_faulty_values_are_findings_of_validate_and_stop_the_rest(
    case: str, refused: Refused, cohort_folder: Path, spoil: Spoil, lncohort: Callable[..., object]
) -> None:
    table, column, value, message = FAULTY[case]
    spoil(cohort_folder, table, column, value)
    before = everything(cohort_folder.parent)
    done = lncohort("validate", "cohort", "--json", cwd=cohort_folder.parent)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"note: changed since cohort.json was written: {table}" in done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert (findings[0]["table"], findings[0]["column"]) == (table, column)
    assert everything(cohort_folder.parent) == before
    stopped = refused("derive", "cohort")
    assert message in stopped
    assert "run `lncohort validate cohort` to see them all" in stopped
    if case == "negative ratio":
        assert message in refused("analyze", "cohort", "--out", "new/results")
        assert message in refused("reproduce", "--cohort", "cohort", "--out", "out")


def test_a_cohort_without_rows(refused: Refused, cohort_folder: Path, rewrite: Rewrite) -> None:
    for table in ("patients", "visits", "treatments", "events"):
        rewrite(cohort_folder, table, lambda content: content.slice(0, 0))
    assert "table patients, column patient_id: 1 validation finding; the first: a cohort has patients" in refused(
        "derive", "cohort"
    )


def test_one_arm_cannot_be_compared(refused: Refused, cohort_folder: Path, rewrite: Rewrite) -> None:
    def one_arm(content: pa.Table) -> pa.Table:
        return content.set_column(1, "arm", pa.array(["tacrolimus"] * len(content)))

    rewrite(cohort_folder, "patients", one_arm)
    message = refused("analyze", "cohort", "--out", "new/results")
    assert "table patients, column arm: an arm has no patients; got tacrolimus" in message


def test_an_output_that_exists(refused: Refused, cohort_folder: Path) -> None:
    place = cohort_folder.parent
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years of work")
    (place / "page.html").write_text("mine")
    exists = "the output exists already; name a new one or add --overwrite"
    foreign = "--overwrite replaces only a directory that lncohort wrote"
    for command in (("generate", "kim2025"), ("analyze", "cohort"), ("reproduce",)):
        assert f"mine: {exists}" in refused(*command, "--out", "mine")
        assert f"mine: {foreign}" in refused(*command, "--out", "mine", "--overwrite")
    assert f"page.html: {foreign}" in refused("generate", "kim2025", "--out", "page.html", "--overwrite")
    assert f"page.html: {exists}" in refused("report", "mine", "--out", "page.html")


@pytest.mark.usefixtures("cohort_folder")
def test_an_input_is_not_overwritten_by_its_results(refused: Refused) -> None:
    assert "cohort: --overwrite would remove the input" in refused(
        "analyze", "cohort", "--out", "cohort", "--overwrite"
    )


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file/out", "file: a file stands where a folder is needed"),
        ("/proc/lncohort/out", "cannot write there"),
        ("x" * 300, "cannot write there; got File name too long"),
    ],
)
def test_an_output_that_cannot_be_written(out: str, message: str, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "place" / "file").write_text("mine")
    assert message in refused("generate", "kim2025", "--out", out)
    assert message in refused("reproduce", "--out", out)


@pytest.mark.usefixtures("cohort_folder")
def test_numbers_and_names_out_of_range(refused: Refused) -> None:
    assert "Invalid value for '--seed'" in refused("generate", "kim2025", "--seed", "-1", "--out", "new/out")
    assert "Invalid value for '--seed'" in refused("reproduce", "--seed", "2025.5", "--out", "new/out")
    assert "no response definition of that name; got 'kdigo2024'; choose one of kim2025, kim2025_strict" in refused(
        "derive", "cohort", "--definition", "kim2025", "--definition", "kdigo2024"
    )
    for only in ("survival,regression", ",", ""):
        message = refused("analyze", "cohort", "--out", "new/results", "--only", only)
        assert "--only: no analysis of that name; got" in message
        groups = "design, describe, response, longitudinal, survival, propensity, sensitivity, starts, realism"
        assert f"choose from {groups}" in message


def test_a_file_called_derived_is_kept(refused: Refused, cohort_folder: Path) -> None:
    (cohort_folder / "derived").write_text("mine")
    assert "cohort/derived: a file stands where a folder is needed; move it away" in refused("derive", "cohort")


def test_a_cohort_directory_that_takes_no_files(cohort_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Superusers write anywhere, so that the refusal of the file system has to be played.
    def refuse(*_args: object, **_options: object) -> str:
        raise OSError(30, "Read-only file system")

    before = everything(cohort_folder)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(
        OutputError, match="derived: cannot write the derived tables; got Read-only file system; check s"
    ):
        CliRunner().invoke(app, ["derive", str(cohort_folder)], catch_exceptions=False)
    assert everything(cohort_folder) == before


def test_derived_tables_are_replaced_whole_or_kept(cohort_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    assert run.invoke(app, ["derive", str(cohort_folder)], catch_exceptions=False).exit_code == 0
    before = everything(cohort_folder)
    rename = Path.rename

    def refuse(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="cannot write the derived tables; got No space left on device"):
        run.invoke(app, ["derive", str(cohort_folder), "--definition", "kim2025_strict"], catch_exceptions=False)
    assert everything(cohort_folder) == before


def test_notes_of_another_form_do_not_stop_an_analysis(cohort_folder: Path) -> None:
    path = cohort_folder / "cohort.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"notes": {"assumptions": [1, 2]}}))
    out = cohort_folder.parent / "results"
    done = CliRunner().invoke(app, ["analyze", str(cohort_folder), "--out", str(out), "--only", "describe"])
    assert done.exit_code == 0
    assert "near_normal_egfr" in (out / "provenance.csv").read_text("utf-8")
    shutil.rmtree(out)
