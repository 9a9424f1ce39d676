"""Words for the codes in result tables, the same in every figure and table."""

from __future__ import annotations

import re

_OUTCOMES = {
    "CR": "Complete response",
    "PR": "Partial response",
    "NR": "No response",
    "CR or PR": "Complete or partial response",
    "first CR": "First complete response reached",
    "sustained CR": "Complete response that lasts",
    "not assessed": "Not assessed",
    "complete_response": "Complete response",
    "partial_response": "Partial response",
    "overall_response": "Complete or partial response",
    "renal_flare": "Renal flare",
    "eskd": "End-stage kidney disease",
    "not yet assessed": "Not yet assessed",
    "eskd or death": "End-stage kidney disease or death",
}

_STRATEGIES = {
    "observed cases": "Observed cases",
    "non-responder imputation": "Not seen = no response",
    "multiple imputation": "Multiple imputation",
    "inverse probability of assessment": "Weighted for being seen",
}
"""Strategies for missing visits, short enough for a legend."""

_MODELS = {
    "andersen-gill": "Andersen-Gill",
    "pwp-total": "PWP, total time",
    "pwp-gap": "PWP, gap time",
    "weighted, stacked variance": "Weighted",
    "weighted, weights as known": "Weighted, known",
    "weighted, bootstrap": "Weighted, bootstrap",
    "augmented": "Doubly robust",
    "ar1 working correlation": "Autoregressive working correlation",
}

_VARIABLES = {
    "arm": "Arm",
    "site": "Clinic",
    "age_years": "Age, years",
    "sex": "Sex",
    "ethnicity": "Origin",
    "sle_duration_years": "Duration of SLE, years",
    "isn_rps_class": "ISN/RPS class",
    "class_v": "Pure class V",
    "activity_index": "Activity index",
    "chronicity_index": "Chronicity index",
    "hypertension": "Hypertension",
    "diabetes": "Diabetes",
    "refractory": "Refractory to induction",
    "induction": "Induction therapy",
    "background_therapy": "Background immunosuppressant",
    "hydroxychloroquine": "Hydroxychloroquine",
    "raas_inhibitor": "RAAS inhibitor",
    "follow_up_days": "Follow-up, days",
    "end_reason": "End of follow-up",
    "index_year": "Calendar year of start",
    "upcr_g_g": "UPCR, g/g",
    "log_upcr": "UPCR, log g/g",
    "log_creatinine": "Creatinine, log mg/dL",
    "visit": "Visit",
    "serum_creatinine_mg_dl": "Creatinine, mg/dL",
    "egfr_ml_min_1_73m2": "eGFR, mL/min/1.73 m²",
    "albumin_g_dl": "Albumin, g/dL",
    "c3_mg_dl": "C3, mg/dL",
    "c4_mg_dl": "C4, mg/dL",
    "anti_dsdna_iu_ml": "Anti-dsDNA, IU/mL",
    "hemoglobin_g_dl": "Haemoglobin, g/dL",
    "urine_rbc_hpf": "Urine erythrocytes, per field",
    "urine_casts": "Urinary casts",
    "sledai_2k": "SLEDAI-2K",
    "prednisolone_mg_day": "Prednisolone, mg/day",
    "tacrolimus_trough_ng_ml": "Tacrolimus trough, ng/mL",
    "egfr_below_90": "eGFR below 90",
    "outcome": "Outcome",
    "trough": "Trough level",
    "later_proteinuria": "Later proteinuria",
}

_SPELT = {
    "asian": "Asian",
    "c3": "C3",
    "c4": "C4",
    "dsdna": "dsDNA",
    "egfr": "eGFR",
    "eskd": "ESKD",
    "gfr": "GFR",
    "korean": "Korean",
    "raas": "RAAS",
    "sd": "SD",
    "sle": "SLE",
    "smd": "SMD",
    "upcr": "UPCR",
}
"""Words that codes write in small letters."""


def in_words(code: str) -> str:
    """Turn a code into words: underscores to spaces, a capital first letter, acronyms as they are spelt.

    Examples
    --------
    >>> in_words("other_asian"), in_words("III+V"), in_words("egfr_floor")
    ('Other Asian', 'III+V', 'eGFR floor')
    """
    words = [_SPELT.get(word, word) for word in code.split("_")]
    first = words[0] if words[0] in _SPELT.values() else words[0][:1].upper() + words[0][1:]
    return " ".join([first, *words[1:]])


def outcome_label(term: str) -> str:
    """Return the words for an outcome or response state; an unknown code is spelt out.

    Examples
    --------
    >>> outcome_label("CR"), outcome_label("kidney_transplant")
    ('Complete response', 'Kidney transplant')
    """
    return _OUTCOMES.get(term, in_words(term))


def strategy_label(population: str) -> str:
    """Return the words for a strategy for missing visits; an unknown one is spelt out.

    Examples
    --------
    >>> strategy_label("non-responder imputation"), strategy_label("last value")
    ('Not seen = no response', 'Last value')
    """
    return _STRATEGIES.get(population, in_words(population))


def model_label(population: str) -> str:
    """Return the words for a model, as the column ``population`` names it; an unknown one is spelt out.

    Examples
    --------
    >>> model_label("pwp-gap"), model_label("adjusted")
    ('PWP, gap time', 'Adjusted')
    """
    return _MODELS.get(population, in_words(population))


def variation_label(population: str) -> str:
    """Return the words for a comparison made again with one thing changed, short enough for an axis.

    Examples
    --------
    >>> variation_label("without log_upcr"), variation_label("every covariate")
    ('Without UPCR', 'Every covariate')
    >>> variation_label("Crump's rule, scores within [0.121, 0.879]"), variation_label("scores within [0.05, 0.95]")
    ("Crump's rule (0.121 to 0.879)", 'Scores 0.05 to 0.95')
    """
    if population.startswith("without "):
        return f"Without {inline_label(population.removeprefix('without '))}"
    bounds = re.fullmatch(r"(?:(Crump's rule), )?scores within \[([\d.]+), ([\d.]+)\]", population)
    if bounds is None:
        return population[:1].upper() + population[1:]
    return f"{bounds[1]} ({bounds[2]} to {bounds[3]})" if bounds[1] else f"Scores {bounds[2]} to {bounds[3]}"


def option_label(option: str) -> str:
    """Return the words for an option of a specification; a visit is named as everywhere.

    Examples
    --------
    >>> option_label("month 12"), option_label("weighted, overlap")
    ('1 year', 'weighted, overlap')
    """
    month = re.fullmatch(r"month (\d+)", option)
    return visit_label(float(month[1])) if month else option


def variable_label(name: str) -> str:
    """Return the words for a covariate's column name; an unknown one is spelt out.

    Examples
    --------
    >>> variable_label("upcr_g_g"), variable_label("smoking_status")
    ('UPCR, g/g', 'Smoking status')
    """
    return _VARIABLES.get(name, in_words(name))


def covariate_label(term: str) -> str:
    """Return the words for a model or balance term, with its level and interactions if it has them.

    Examples
    --------
    >>> covariate_label("isn_rps_class=III+V"), covariate_label("sex=female")
    ('ISN/RPS class: III+V', 'Sex: female')
    >>> covariate_label("treated:visit=month 12")
    'Treated × Visit: 1 year'
    """
    return " × ".join(_one_covariate(part) for part in term.split(":"))


def _one_covariate(term: str) -> str:
    name, separator, level = term.partition("=")
    if not separator:
        return variable_label(name)
    month = re.fullmatch(r"month (\d+)", level)
    words = visit_label(float(month[1])) if month else level.replace("_", " ")
    return f"{variable_label(name)}: {words}"


def pair_label(term: str) -> str:
    """Return the words for a correlation: two covariates without their units, or one with its own next value.

    Examples
    --------
    >>> pair_label("albumin_g_dl with upcr_g_g"), pair_label("c3_mg_dl"), pair_label("c3_mg_dl with chronicity_index")
    ('Albumin and UPCR', 'C3', 'C3 and chronicity index')
    """
    first, *others = term.split(" with ")
    return " and ".join([variable_label(first).partition(", ")[0], *map(inline_label, others)])


def inline_label(name: str) -> str:
    """Return the words for a covariate within a sentence: no unit, and small letters unless it is an acronym.

    Examples
    --------
    >>> inline_label("age_years"), inline_label("egfr_ml_min_1_73m2"), inline_label("log_upcr")
    ('age', 'eGFR', 'UPCR')
    """
    word = variable_label(name).partition(", ")[0]
    return word[:1].lower() + word[1:] if word[1:2].islower() else word


def visit_label(month: float) -> str:
    """Return the name of a visit.

    Examples
    --------
    >>> [visit_label(month) for month in (0, 6, 12, 60)]
    ['Start', '6 months', '1 year', '5 years']
    """
    if month == 0:
        return "Start"
    amount, unit = (month / 12, "year") if month % 12 == 0 else (month, "month")
    return f"{amount:g} {unit}{'' if amount == 1 else 's'}"


def short_visit_label(month: float) -> str:
    """Return the name of a visit for a narrow axis.

    Examples
    --------
    >>> [short_visit_label(month) for month in (0, 6, 12, 60)]
    ['0', '6 mo', '1 y', '5 y']
    """
    if month == 0:
        return "0"
    return f"{month / 12:g} y" if month % 12 == 0 else f"{month:g} mo"


def contrast_arms(contrast: str) -> tuple[str, str]:
    """Split the text of a contrast, ``"tacrolimus v no_tacrolimus"``, into its two arms.

    Examples
    --------
    >>> contrast_arms("tacrolimus v no_tacrolimus")
    ('tacrolimus', 'no_tacrolimus')
    """
    first, _, second = contrast.partition(" v ")
    return first, second
