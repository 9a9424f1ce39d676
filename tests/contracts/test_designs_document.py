"""docs/designs.md names the keys of a design file, the designs carried and the tables written."""

from __future__ import annotations

import re
from pathlib import Path

from analyses.design import available_designs
from analyses.design.design_file import CriterionKeys, DesignFile, DiagramKeys
from analyses.design.specification import Estimand

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "designs.md").read_text(encoding="utf-8")


def test_every_key_of_a_design_file_is_documented():
    for keys in (DesignFile, CriterionKeys, DiagramKeys):
        for name in keys.model_fields:
            assert re.search(rf"`(\[\[|\[)?{name}(\]\]|\])?`", DOCUMENT), name


def test_designs_estimands_and_tables_are_named():
    for name in (*available_designs(), *Estimand, "eligibility", "target_trial", "causal_diagram"):
        assert f"`{name}`" in DOCUMENT, name
