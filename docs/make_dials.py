"""Write the tables of dials in docs/scenarios.md from the patient model: `python docs/make_dials.py`."""

from __future__ import annotations

from pathlib import Path

from synthetic.dials import PARTS, admissible, parameters

DOCUMENT = Path(__file__).with_name("scenarios.md")
HEADING = "## Every dial\n"
_HEAD = "| dial | default | admissible | unit | status |\n|---|---|---|---|---|\n"


def tables() -> str:
    """Return the tables of all parts of the model, one row a parameter."""
    return "".join(f"\n### `[{part}]`\n\n{_HEAD}{_rows(part)}" for part in PARTS)


def _rows(part: str) -> str:
    rows = []
    for name, field in parameters(part).items():
        default = field.default
        values = default if isinstance(default, tuple) else (default,)
        shown = ", ".join(value if isinstance(value, str) else f"{value:.6g}" for value in values)
        cells = (f"`{name}`", shown, admissible(part, name) or "as described", *_origin(field.metadata))
        rows.append(f"| {' | '.join(map(str, cells))} |\n")
    return "".join(rows)


def _origin(metadata: object) -> tuple[str, str]:
    return metadata["unit"], str(metadata["status"])  # type: ignore[index]


if __name__ == "__main__":
    prose = DOCUMENT.read_text(encoding="utf-8").split(HEADING)[0]
    DOCUMENT.write_text(prose + HEADING + tables(), encoding="utf-8")
