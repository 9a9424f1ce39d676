"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study that lncohort carries, for instance kim2025.")]
CohortFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A cohort directory.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; written whole or not at all.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that lncohort wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
