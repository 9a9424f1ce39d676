"""What no single key of a study file can show to be wrong: references to nothing, doubles, contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from cohort.codes import CALCINEURIN_INHIBITORS, Drug
from cohort.record import (
    CUMULATIVE_MEASURES,
    FLARE_MEASURES,
    RESPONSE_MEASURES,
    Alternative,
    Arm,
    Measure,
    PValueConstraint,
    Study,
    Target,
    TargetKind,
    Unit,
)
from cohort.toml_document import KeyPath, closest


@dataclass(frozen=True, slots=True)
class Problem:
    """One contradiction: where it stands in the file, what is wrong, what was got and what to do."""

    path: KeyPath
    what: str
    got: str
    remedy: str


def contradictions(study: Study) -> Iterator[Problem]:
    """Yield every contradiction of a study file whose keys are each well formed."""
    yield from _doubles(study)
    yield from _unknown_sources(study)
    if list(study.visit_months) != sorted(set(study.visit_months)):
        yield Problem(
            ("visit_months",), "visits are not in increasing order", str(list(study.visit_months)), "order the months"
        )
    for place, arm in enumerate(study.arms):
        for problem in _of_arm(arm):
            yield Problem(("arm", place, *problem.path), problem.what, problem.got, problem.remedy)
    yield from _recruitment(study)
    for place, target in enumerate(study.targets):
        for problem in _of_target(study, target):
            yield Problem(("target", place, *problem.path), problem.what, problem.got, problem.remedy)
    yield from _printed_twice(study)
    yield from _sizes(study)
    yield from _plan(study)


def _recruitment(study: Study) -> Iterator[Problem]:
    accrual = study.accrual
    if accrual is not None and accrual.last_year < accrual.first_year:
        got = f"{accrual.first_year} to {accrual.last_year}"
        yield Problem(("accrual", "last_year"), "accrual ends before it starts", got, "order the years")
    if accrual is not None and accrual.data_lock is not None and accrual.data_lock.year < accrual.last_year:
        got = f"{accrual.data_lock}, accrual until {accrual.last_year}"
        yield Problem(("accrual", "data_lock"), "the records end before accrual", got, "correct one of the two")
    total = sum(origin.share for origin in study.origins)
    if study.origins and abs(total - 1) > _ROUNDING:
        yield Problem(("origin",), "the shares of the origins do not sum to 1", f"{total:g}", "complete the shares")


_ROUNDING = 1e-9


def _doubles(study: Study) -> Iterator[Problem]:
    named: dict[str, tuple[str, Iterable[str]]] = {
        "source": ("key", (source.key for source in study.sources)),
        "arm": ("code", (arm.code for arm in study.arms)),
        "fact": ("id", (fact.id for fact in study.facts)),
        "definition": ("term", (definition.term for definition in study.definitions)),
        "target": ("id", (target.id for target in study.targets)),
        "origin": ("code", (origin.code for origin in study.origins)),
    }
    for table, (key, names) in named.items():
        seen: dict[str, int] = {}
        for place, name in enumerate(names):
            if name in seen:
                first = f"{table}[{seen[name]}]"
                yield Problem(
                    (table, place, key), f"the same {key} as {first}", name, f"give each {table} its own {key}"
                )
            seen.setdefault(name, place)


def _unknown_sources(study: Study) -> Iterator[Problem]:
    known = [source.key for source in study.sources]
    citing = {
        "arm": [arm.source for arm in study.arms],
        "fact": [fact.source for fact in study.facts],
        "definition": [definition.source for definition in study.definitions],
        "target": [target.source for target in study.targets],
        "origin": [origin.source for origin in study.origins],
    }
    for table, keys in citing.items():
        for place, key in enumerate(keys):
            if key not in known:
                yield Problem((table, place, "source"), "no such source", key, closest(key, known, "the sources are"))
    for arm_place, arm in enumerate(study.arms):
        for place, dose in enumerate(arm.doses):
            if dose.source not in known:
                remedy = closest(dose.source, known, "the sources are")
                yield Problem(("arm", arm_place, "dose", place, "source"), "no such source", dose.source, remedy)
    if study.accrual is not None and study.accrual.source not in known:
        key = study.accrual.source
        yield Problem(("accrual", "source"), "no such source", key, closest(key, known, "the sources are"))


def _of_arm(arm: Arm) -> Iterator[Problem]:
    for place, drug in enumerate(arm.regimen):
        if drug in arm.regimen[:place]:
            yield Problem(("regimen",), "the same drug twice in a regimen", drug, "name each drug once")
    if arm.regimen and arm.tacrolimus is not (Drug.TACROLIMUS in arm.regimen):
        what = f"tacrolimus is {str(arm.tacrolimus).lower()}, but the regimen says otherwise"
        got = ", ".join(arm.regimen)
        yield Problem(("tacrolimus",), what, got, "correct tacrolimus or the regimen")
    for place in range(len(arm.doses)):
        for key, what, got, remedy in _of_dose(arm, place):
            yield Problem(("dose", place, key), what, got, remedy)


def _of_dose(arm: Arm, place: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, what is wrong, what was got and what to do."""
    dose = arm.doses[place]
    if dose.drug not in arm.regimen:
        yield "drug", "a dose of a drug that the regimen does not name", dose.drug, "add it to the regimen"
    if dose.drug in [other.drug for other in arm.doses[:place]]:
        yield "drug", "a second dose of a drug", dose.drug, "give each drug one dose"
    if dose.trough_ng_ml is not None and dose.drug is not Drug.TACROLIMUS:
        yield "trough_ng_ml", "levels are kept for tacrolimus only", dose.drug, "take the key out"
    if dose.trough_ng_ml is not None and dose.trough_ng_ml[0] > dose.trough_ng_ml[1]:
        low, high = dose.trough_ng_ml
        yield "trough_ng_ml", "the level aimed at ends below its start", f"{low:g} to {high:g}", "order the two"
    if dose.until_month is not None and dose.until_month <= dose.from_month:
        got = f"from month {dose.from_month} until month {dose.until_month}"
        yield "until_month", "a drug ends before it starts", got, "order the months"
    if dose.from_month and dose.drug in (*CALCINEURIN_INHIBITORS, Drug.PREDNISOLONE):
        what = "only immunosuppressants beside a calcineurin inhibitor may start after day 0"
        yield "from_month", what, f"{dose.drug} from month {dose.from_month}", "take the key out"


def _of_target(study: Study, target: Target) -> Iterator[Problem]:
    codes = [arm.code for arm in study.arms]
    ids = [other.id for other in study.targets]
    if target.arm is not None and target.arm not in codes:
        yield Problem(("arm",), "no such arm", target.arm, closest(target.arm, codes, "the arms are"))
    if target.superseded_by is not None and (target.superseded_by not in ids or target.superseded_by == target.id):
        remedy = closest(target.superseded_by, [name for name in ids if name != target.id], "the other targets are")
        yield Problem(("superseded_by",), "superseded by no other target", target.superseded_by, remedy)
    if target.kind is TargetKind.FINDING:
        needed: dict[str, object] = {"claim": target.claim, "statement": target.statement}
    else:
        needed = {"value": target.value, "unit": target.unit}
        if target.measure is Measure.P_VALUE:
            needed["compares"] = target.compares
        elif target.measure in _OF_ARM_AND_MONTH:
            needed |= {"arm": target.arm, "month": target.month}
    for key, value in needed.items():
        if value is None:
            remedy = f"add {key} = ... to this table"
            yield Problem((key,), f"a {target.kind} of {target.measure} needs {key}", "nothing", remedy)
    yield from _value_of_target(study, target)


_OF_ARM_AND_MONTH = (*RESPONSE_MEASURES, *CUMULATIVE_MEASURES, Measure.RENAL_FLARE_RATE, Measure.ASSESSED)
_OF_A_VISIT = (*RESPONSE_MEASURES, Measure.ASSESSED)


def _value_of_target(study: Study, target: Target) -> Iterator[Problem]:
    compared = target.compares if target.measure is Measure.P_VALUE else target.measure
    months = (0, *study.visit_months)
    if compared in _OF_A_VISIT and target.month is not None and target.month not in months:
        listed = ", ".join(map(str, months))
        yield Problem(("month",), "not a visit of this study", str(target.month), f"the months are {listed}")
    if target.measure in FLARE_MEASURES and target.month is not None and target.month > months[-1]:
        remedy = f"add a visit at or after it; the last is month {months[-1]}"
        yield Problem(("month",), "flares are counted beyond the last visit", str(target.month), remedy)
    if target.kaplan_meier and (target.measure not in CUMULATIVE_MEASURES or target.unit is not Unit.PERCENT):
        what = "only a percentage of patients with an event by a month is a Kaplan-Meier estimate"
        yield Problem(("kaplan_meier",), what, "true", "take the key out")
    if target.value is None or target.unit is None:
        return
    units = _units_of(target.measure)
    if target.kind is TargetKind.NUMBER and target.unit not in units:
        remedy = "write " + " or ".join(f'unit = "{unit}"' for unit in units)
        yield Problem(("unit",), f"wrong unit for {target.measure}", target.unit, remedy)
        return
    highest = {Unit.PERCENT: 100, Unit.PROBABILITY: 1}.get(target.unit)
    if highest is not None and Decimal(target.value) > highest:
        yield Problem(("value",), f"a {target.unit} above {highest}", target.value, "correct the value or the unit")
    yield from _patients_of_target(study, target)


def _patients_of_target(study: Study, target: Target) -> Iterator[Problem]:
    """Yield what is wrong with the numbers of patients of a target of one arm."""
    size = {arm.code: arm.size for arm in study.arms}.get(target.arm or "")
    if size is None:
        return
    if target.n is not None and target.n > size:
        yield Problem(("n",), "more patients than the arm has", str(target.n), f"give at most {size}")
    if target.value is None or target.unit is not Unit.PATIENTS or target.measure is Measure.ARM_SIZE:
        return
    most = min(size, target.n or size)
    if not target.value.isdecimal() or int(target.value) > most:
        remedy = f"give a whole number from 0 to {most}"
        yield Problem(("value",), "not a number of patients of this arm", target.value, remedy)
    elif target.measure is Measure.ASSESSED and int(target.value) == 0:
        yield Problem(("value",), "a visit at which nobody is assessed", target.value, "leave the target out")


def _units_of(measure: Measure) -> tuple[Unit, ...]:
    if measure is Measure.P_VALUE:
        return (Unit.PROBABILITY,)
    if measure is Measure.RENAL_FLARE_RATE:
        return (Unit.PER_100_PATIENT_YEARS,)
    if measure in (Measure.TOTAL_PATIENTS, Measure.ARM_SIZE, Measure.MONOTHERAPY_COUNT, Measure.ASSESSED):
        return (Unit.PATIENTS,)
    if measure in (*RESPONSE_MEASURES, *CUMULATIVE_MEASURES):
        return (Unit.PERCENT, Unit.PATIENTS)
    return (Unit.PERCENT,)


def _printed_twice(study: Study) -> Iterator[Problem]:
    seen: dict[object, str] = {}
    for place, target in enumerate(study.targets):
        if target.kind is TargetKind.FINDING or target.superseded_by is not None:
            continue
        key = (target.measure, target.arm, target.month, target.compares, target.test)
        if key in seen:
            what = f"a second number in force beside target {seen[key]}"
            yield Problem(("target", place), what, target.id, "mark the older one with superseded_by")
        seen.setdefault(key, target.id)


def _sizes(study: Study) -> Iterator[Problem]:
    sizes = {arm.code: arm.size for arm in study.arms}
    for place, target in enumerate(study.targets):
        if target.superseded_by is not None or target.value is None:
            continue
        if target.measure is Measure.TOTAL_PATIENTS and Decimal(target.value) != sum(sizes.values()):
            what, got = "the total is not the sum of the arms", f"{target.value} against {sum(sizes.values())}"
            yield Problem(("target", place, "value"), what, got, "correct one, or mark the total as superseded")
        size = sizes.get(target.arm or "")
        if target.measure is Measure.ARM_SIZE and size is not None and Decimal(target.value) != size:
            what, got = "not the size given for the arm", f"{target.value} against {size}"
            yield Problem(("target", place, "value"), what, got, "correct one of the two")


def _plan(study: Study) -> Iterator[Problem]:
    plan = study.reconstruction
    yield from _p_value_constraints(study, plan.p_values, ("reconstruction",))
    by_id = {target.id: target for target in study.targets}
    for place, shared in enumerate(plan.shared_denominators):
        path: KeyPath = ("reconstruction", "shared_denominator", place)
        one, other = by_id.get(shared.target), by_id.get(shared.also_serves)
        unusable = [
            (key, name)
            for key, name, found in (("target", shared.target, one), ("also_serves", shared.also_serves, other))
            if found is None or not _is_printed_response(found)
        ]
        for key, name in unusable:
            yield Problem((*path, key), "no such printed percentage", name, _NAME_A_PERCENTAGE)
        if one and other and not unusable and (one.arm, one.month) != (other.arm, other.month):
            got = f"{one.id} and {other.id}"
            yield Problem(path, "different arms or months cannot share a denominator", got, "name two of one visit")
    names = [alternative.name for alternative in plan.alternatives]
    for place, alternative in enumerate(plan.alternatives):
        path = ("reconstruction", "alternative", place)
        if alternative.name in names[:place] or alternative.name == "default":
            yield Problem((*path, "name"), "the name of an alternative is taken", alternative.name, "choose another")
        yield from _p_value_constraints(study, alternative.p_values, path)
        yield from _fixed_denominators(study, alternative, path)


def _p_value_constraints(study: Study, constraints: Iterable[PValueConstraint], path: KeyPath) -> Iterator[Problem]:
    usable = [
        target.id
        for target in study.targets
        if target.measure is Measure.P_VALUE and target.compares in RESPONSE_MEASURES and target.month is not None
    ]
    for place, constraint in enumerate(constraints):
        where = (*path, "p_value", place)
        if constraint.target not in usable:
            remedy = closest(constraint.target, usable, "p-values of a response at a visit are")
            yield Problem((*where, "target"), "not a p-value of response", constraint.target, remedy)
        if len(study.arms) != 2:
            remedy = "leave the p-value out, or describe a two-arm study"
            yield Problem(where, "a p-value constraint compares two arms", f"{len(study.arms)} arms", remedy)


def _fixed_denominators(study: Study, alternative: Alternative, path: KeyPath) -> Iterator[Problem]:
    by_id = {target.id: target for target in study.targets}
    for place, fixed in enumerate(alternative.denominators):
        where = (*path, "denominator", place)
        target = by_id.get(fixed.target)
        if target is None or not _is_printed_response(target):
            yield Problem((*where, "target"), "no such printed percentage", fixed.target, _NAME_A_PERCENTAGE)
        elif target.arm is not None and fixed.n > study.arm(target.arm).size:
            remedy = f"give at most {study.arm(target.arm).size}"
            yield Problem((*where, "n"), "more patients than the arm has", str(fixed.n), remedy)


_NAME_A_PERCENTAGE = "name a target that is a printed percentage of response"


def _is_printed_response(target: Target) -> bool:
    return target.kind is TargetKind.NUMBER and target.measure in RESPONSE_MEASURES
