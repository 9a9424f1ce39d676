"""Every error lncohort raises on purpose, under one root.

An error names what went wrong, where, what was got and what to do next, so that the command line can print it as it
is. Each is a usage error (exit code 2); findings of a check are data, not errors (exit code 1).
"""

from __future__ import annotations


class LncohortError(Exception):
    """Root of every error raised on purpose.

    Parameters
    ----------
    what
        What is wrong, as a clause without a full stop.
    where
        Where it is wrong: a file, or table, column and rows.
    got
        What was found there.
    remedy
        What to do about it, as an imperative clause.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", got: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.got = got
        self.remedy = remedy
        parts = [f"{where}: {what}" if where else what]
        if got:
            parts.append(f"got {got}")
        if remedy:
            parts.append(remedy)
        super().__init__("; ".join(parts))


class StudyFileError(LncohortError):
    """A study file is missing, malformed or contradicts itself."""


class ReconstructionError(LncohortError):
    """No table of whole patients satisfies the printed numbers and the rule."""


class CalibrationError(LncohortError):
    """The patient model cannot meet what it is conditioned on."""


class ScenarioError(LncohortError):
    """A scenario file is missing or malformed, or its dials are out of range or contradict each other."""


class DesignError(LncohortError):
    """A design file is missing or malformed, or its adjustment set contradicts its causal diagram."""


class CohortDirectoryError(LncohortError):
    """A cohort directory is missing, foreign, truncated or not of the schema."""


class DefinitionError(LncohortError):
    """A response or flare definition is unknown or its parameters contradict each other."""


class OutputError(LncohortError):
    """An output cannot be written where it was asked for."""


class UsageError(LncohortError):
    """An argument is out of its range or contradicts another."""


class AnalysisError(LncohortError):
    """The data handed to an estimator cannot support it as asked (unknown column, wrong type, no rows)."""
