"""The published records that lncohort carries, or any other in a TOML file, read and checked.

:mod:`cohort.record` says what a record is made of; its names are offered here too.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from cohort.errors import StudyFileError
from cohort.record import (
    CUMULATIVE_MEASURES,
    FLARE_MEASURES,
    RESPONSE_MEASURES,
    Accrual,
    Alternative,
    Arm,
    Assignment,
    Claim,
    Dose,
    Fact,
    FixedDenominator,
    Measure,
    OriginShare,
    PublishedDefinition,
    PValueConstraint,
    ReconstructionPlan,
    SharedDenominator,
    Source,
    Study,
    Target,
    TargetKind,
    Unit,
)
from cohort.record_checks import contradictions
from cohort.toml_document import closest, read_toml

__all__ = [
    "CUMULATIVE_MEASURES",
    "FLARE_MEASURES",
    "RESPONSE_MEASURES",
    "Accrual",
    "Alternative",
    "Arm",
    "Assignment",
    "Claim",
    "Dose",
    "Fact",
    "FixedDenominator",
    "Measure",
    "OriginShare",
    "PValueConstraint",
    "PublishedDefinition",
    "ReconstructionPlan",
    "SharedDenominator",
    "Source",
    "Study",
    "Target",
    "TargetKind",
    "Unit",
    "available_studies",
    "load_study",
    "read_study",
]


def available_studies() -> tuple[str, ...]:
    """Return the names of the studies that lncohort carries, in alphabetical order.

    Examples
    --------
    >>> "kim2025" in available_studies()
    True
    """
    entries = files("cohort.studies").iterdir()
    return tuple(sorted(entry.name[:-5] for entry in entries if entry.name.endswith(".toml")))


def load_study(name_or_path: str | Path) -> Study:
    """Read a published record.

    Parameters
    ----------
    name_or_path
        Name of a study that lncohort carries, or path of a TOML file (anything ending in ``.toml`` or holding a
        path separator is a path).

    Returns
    -------
    Study

    Raises
    ------
    StudyFileError
        If the study is unknown, the file cannot be read, is not TOML, has a wrong, missing or unknown key, or
        contradicts itself; the message gives the line and the key.

    Examples
    --------
    >>> study = load_study("kim2025")
    >>> study.target("cr_6_tacrolimus").value
    '49.5'
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read_study(_read(Path(name_or_path)), where=text)
    known = available_studies()
    if text not in known:
        remedy = closest(text, known, "the studies carried are") + "; or give the path of a .toml file"
        raise StudyFileError("no such study", where="studies", got=text or "an empty name", remedy=remedy)
    return read_study(files("cohort.studies").joinpath(f"{text}.toml").read_text("utf-8"), where=f"{text}.toml")


def read_study(text: str, *, where: str) -> Study:
    """Parse and check the text of a study file; ``where`` names it in messages.

    Raises
    ------
    StudyFileError
        As :func:`load_study` does.
    """
    document = read_toml(text, where=where, error=StudyFileError)
    study = document.validate(Study)
    found = [(document.line(problem.path), problem) for problem in contradictions(study)]
    if found:
        _, problem = min(found, key=lambda item: item[0])
        raise document.fail(problem.what, problem.path, got=problem.got, remedy=problem.remedy)
    return study


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise StudyFileError(
            "no such study file", where=str(path), remedy=f"studies carried: {', '.join(available_studies())}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyFileError(
            "cannot read the study file", where=str(path), got=str(error), remedy="give a readable UTF-8 TOML file"
        ) from None
