"""``lncohort generate``: a synthetic cohort whose published rates are exact."""

from __future__ import annotations

from cohort.cli.console import print_line, suggest
from cohort.cli.options import Out, Overwrite, Seed, StudyName


def generate(study: StudyName, out: Out, seed: Seed = 2025, overwrite: Overwrite = False) -> None:
    """Generate a cohort from a published record.

    Writes a cohort directory: patients, visits with raw laboratory values, treatments and events as Parquet,
    cohort.json, and truth/ with what only the generator knows. Deriving response from the laboratory values gives the
    published rates to their printed decimals. The same seed gives the same bytes; another seed other patients with the
    same rates.
    """
    from cohort.cli.pipeline import generate_into
    from cohort.output import check_free, new_directory
    from cohort.targets import load_study

    check_free(out, overwrite=overwrite)
    record = load_study(study)
    with new_directory(out, overwrite=overwrite) as folder:
        generate_into(folder, record, seed)
    print_line(str(out))
    suggest(f"lncohort validate {out}", f"lncohort derive {out}", f"lncohort analyze {out} --out RESULTS")
