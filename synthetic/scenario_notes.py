"""What a cohort directory says of the scenario it was made under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.provenance import provenance_table
from synthetic.model import PatientModel
from synthetic.scenario import Scenario
from synthetic.setting import Setting
from synthetic.study_dials import dose_provenance


def setting_notes(setting: Setting) -> dict[str, Any]:
    """Return what every cohort of a setting has in common: scenario, intercepts, definitions and assumptions."""
    return {
        "scenario": scenario_notes(setting.scenario, setting.model),
        "intercepts": setting.calibration.intercepts.tolist(),
        "response_definition": KIM2025.name,
        "flare_definition": KDIGO_2012.name,
        "assumptions": assumptions(setting),
    }


def assumptions(setting: Setting) -> list[dict[str, Any]]:
    """Return every parameter of the model, the regimens and the definitions with status and source, one record each."""
    scenario = replace(setting.scenario, dials=(*setting.scenario.dials, *setting.study_dials))
    doses = dose_provenance(setting.design.regimens)
    tables = [
        scenario.provenance(setting.model),
        *([doses] if len(doses) else []),
        provenance_table(KIM2025, KDIGO_2012),
    ]
    return [{str(key): value for key, value in row.items()} for row in pd.concat(tables).to_dict("records")]


def scenario_notes(scenario: Scenario, model: PatientModel) -> dict[str, Any]:
    """Return name, description and turned dials; a solved strength of confounding among them."""
    dials = {f"{dial.part}.{dial.name}": getattr(getattr(model, dial.part), dial.name) for dial in scenario.dials}
    if scenario.response is not None:
        wanted = scenario.response
        dials["response.risk_difference"] = wanted.risk_difference
        dials["response.measure"], dials["response.month"] = wanted.measure.value, wanted.month
        dials["assignment.strength"] = model.assignment.strength
    return {"name": scenario.name, "description": scenario.description, "dials": dials}
