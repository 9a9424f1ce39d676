"""``lncohort dictionary``: every table and column of the schema."""

from __future__ import annotations

from cohort.cli.console import print_json, print_table, suggest
from cohort.cli.options import AsJson


def dictionary(as_json: AsJson = False) -> None:
    """List the tables of a cohort directory: columns, types, units, admissible values and meaning."""
    from cohort.schema import COHORT_TABLES, DERIVED_TABLES, DIRT_TABLES, TRUTH_ESTIMANDS, TRUTH_TABLES

    tables = (*COHORT_TABLES, *DERIVED_TABLES, *TRUTH_TABLES, TRUTH_ESTIMANDS, *DIRT_TABLES)
    if as_json:
        print_json(
            {
                table.name: {
                    "description": table.description,
                    "key": list(table.key),
                    "columns": [
                        {
                            "name": column.name,
                            "type": column.kind.value,
                            "unit": column.unit,
                            "nullable": column.nullable,
                            "codes": [code.value for code in column.codes] if column.codes else [],
                            "minimum": column.minimum,
                            "maximum": column.maximum,
                            "description": column.description,
                        }
                        for column in table.columns
                    ],
                }
                for table in tables
            }
        )
        return
    for table in tables:
        rows = [
            (
                column.name,
                column.kind.value + (" or missing" if column.nullable else ""),
                column.unit,
                ", ".join(code.value for code in column.codes) if column.codes else "",
                column.description,
            )
            for column in table.columns
        ]
        print_table(f"{table.name}: {table.description}", ("column", "type", "unit", "codes", "meaning"), rows)
    suggest("lncohort generate kim2025 --out DIR")
