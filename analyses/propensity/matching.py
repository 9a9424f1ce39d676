"""Matching of treated to untreated patients on the propensity score, or on any other number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, require_complete
from analyses.kernels.nearest_matches import Links, nearest_links, on_grid
from analyses.kernels.optimal_matches import full_links, optimal_links
from analyses.propensity.matched_sample import (
    LINK_COLUMNS,
    NOT_CHOSEN,
    Comparable,
    IntArray,
    Matching,
    Membership,
    comparable_patients,
    in_subclasses,
)
from cohort.errors import AnalysisError, UsageError

Method = Literal["nearest", "optimal", "full"]
Order = Literal["largest", "smallest", "id"]
MatchedEstimand = Literal["ATT", "ATC", "ATE"]

_WHERE = "match_patients"
_WORDS = {"nearest": "nearest-neighbour matching", "optimal": "optimal matching", "full": "optimal full matching"}


def match_patients(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    distance: str | npt.ArrayLike,
    subject_col: str = "patient_id",
    method: Method = "nearest",
    estimand: MatchedEstimand = "ATT",
    ratio: int = 1,
    replace: bool = False,
    caliper: float | None = None,
    exact: str | Sequence[str] | None = None,
    order: Order | None = None,
    covariates: Sequence[str] = (),
) -> Matching:
    """Match patients of two arms who are near each other on one number.

    Parameters
    ----------
    data
        One row per patient.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    distance
        Numeric column, or array of shape ``(n,)`` in row order, on which differences are taken: usually the logit of
        the propensity score.
    subject_col
        Column of the patient, which breaks every tie: the result is the same for any order of the rows.
    method
        ``nearest``: greedy, each focal patient in turn takes the nearest free one. ``optimal``: the same pairs in
        number, with the least sum of distances. ``full``: everybody is put into a subclass of one patient of one arm
        and one or more of the other, with the least sum of distances.
    estimand
        Whom the contrast is about and, except in ``full``, whose arm is focal: ``ATT`` the treated, ``ATC`` the
        reference arm. ``ATE`` is for ``full`` only.
    ratio
        Patients matched to each focal one. All choose a first before any chooses a second.
    replace
        Whether (in ``nearest``) a patient may be matched several times.
    caliper
        Largest distance allowed (in ``nearest``), inclusive, in standard deviations of ``distance`` among all patients
        of both arms (denominator n - 1), as R's MatchIt has it.
    exact
        Columns on which matched patients must agree; each combination of levels is matched by itself.
    order
        Who chooses first in ``nearest`` without replacement: ``largest`` distance value (the default for ``ATT``),
        ``smallest`` (for ``ATC``) or by ``id``.
    covariates
        Columns whose balance :meth:`Matching.balance` measures by default.

    Returns
    -------
    Matching
        Weights, subclasses, pairs, balance, and in :meth:`Matching.tidy` who was not matched and why.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, not two arms, a patient with two rows, nobody matched, or (``optimal``) too few
        patients to give every focal one ``ratio``.
    UsageError
        An option unknown or out of its range, or one that the method does not take.

    Notes
    -----
    Patients are ordered by value and then by ``subject_col``; values that agree to 10 digits of their range are equal.
    Of two neighbours at the same distance the one with the smaller value is taken, and among equals the next in that
    order. Optimal and full matching are exact and take a time nearly in proportion to the number of patients.

    References
    ----------
    Austin PC. Optimal caliper widths for propensity-score matching when estimating differences in means and
    differences in proportions in observational studies. Pharm Stat 2011;10:150-161. doi:10.1002/pst.433. Hansen BB.
    Full matching in an observational study of coaching for the SAT. J Am Stat Assoc 2004;99:609-618.
    doi:10.1198/016214504000000647. Ho DE et al. MatchIt. J Stat Softw 2011;42(8). doi:10.18637/jss.v042.i08

    Examples
    --------
    >>> data = pd.DataFrame(
    ...     {"patient_id": ["a", "b", "c", "d"], "arm": ["t", "r", "t", "r"], "logit": [0.0, 0.1, 2.0, 1.5]}
    ... )
    >>> found = match_patients(data, treatment_col="arm", treated="t", distance="logit")
    >>> found.pairs[["treated_id", "reference_id"]].to_numpy().tolist()
    [['a', 'b'], ['c', 'd']]
    """
    options = MatchingOptions(method, estimand, ratio, replace, caliper, exact, order)
    patients = comparable_patients(
        data,
        treatment_col=treatment_col,
        treated=treated,
        distance=distance,
        subject_col=subject_col,
        where=_WHERE,
    )
    return match_comparable(data, patients, options, subject_col=subject_col, covariates=tuple(covariates))


def match_comparable(
    data: pd.DataFrame,
    patients: Comparable,
    options: MatchingOptions,
    *,
    subject_col: str,
    covariates: tuple[str, ...],
) -> Matching:
    """Match patients laid out already; arguments, result and errors are those of :func:`match_patients`."""
    require_complete(data, options.columns, where=_WHERE)
    stratum: IntArray = np.zeros(len(data), dtype=np.int64)
    if options.columns:
        groups = data.groupby(list(options.columns), observed=True, sort=False)
        stratum = np.asarray(groups.ngroup().to_numpy(), dtype=np.int64)
    found = _match_strata(patients, options, stratum)
    if not len(found.links.focal):
        raise _nobody_matched(patients, options, stratum, found)
    number = _numbered(_subclass_of_links(found.links, full=options.method == "full"), found.links, patients.rank)
    members, subclass = _members(found.links, number, patients.treated, options)
    return Matching(
        weights=members.total(len(data)),
        subclass=subclass,
        pairs=_pairs(found.links, number, patients),
        treated=patients.treated,
        arms=patients.arms,
        estimand=options.estimand,
        method=options.description(),
        members=members,
        subject_col=subject_col,
        covariates=covariates,
        _ids=patients.ids,
        _left_out=_left_out(patients, found, members, options),
        _data=data.copy(),
    )


@dataclass(frozen=True, slots=True)
class MatchingOptions:
    """How to match; see :func:`match_patients`.

    Raises
    ------
    UsageError
        An option unknown or out of its range, or one that the method does not take.
    """

    method: Method
    estimand: MatchedEstimand
    ratio: int
    replace: bool
    caliper: float | None
    exact: str | Sequence[str] | None
    order: Order | None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, get_args(Method)),
            ("estimand", self.estimand, get_args(MatchedEstimand)),
            ("order", self.order or "largest", get_args(Order)),
        ):
            if value not in known:
                raise UsageError(f"unknown {name}", where=_WHERE, got=str(value), remedy=f"use {', '.join(known)}")
        if isinstance(self.ratio, bool) or self.ratio != int(self.ratio) or self.ratio < 1:
            raise UsageError(
                "ratio must be a whole number from 1", where=_WHERE, got=str(self.ratio), remedy="use for instance 2"
            )
        if self.caliper is not None and not 0 < self.caliper < float("inf"):
            raise UsageError(
                "the caliper must be positive",
                where=_WHERE,
                got=str(self.caliper),
                remedy="use for instance 0.2, in standard deviations of the distance",
            )
        if self.estimand == "ATE" and self.method != "full":
            raise UsageError(
                "matching one arm to the other speaks of that arm, not of everybody",
                where=_WHERE,
                got=f"estimand ATE with method {self.method}",
                remedy="use ATT or ATC, or method='full'",
            )
        refused = {"caliper": self.caliper is not None, "replace": self.replace, "order": self.order is not None}
        for name, given in refused.items():
            if given and self.method != "nearest":
                raise UsageError(
                    f"{self.method} matching takes no {name}",
                    where=_WHERE,
                    got=f"{name}={getattr(self, name)}",
                    remedy="leave it out or use method='nearest'",
                )
        if self.ratio > 1 and self.method == "full":
            raise UsageError("full matching takes no ratio", where=_WHERE, got=str(self.ratio), remedy="leave it out")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns on which matched patients must agree."""
        if self.exact is None:
            return ()
        return (self.exact,) if isinstance(self.exact, str) else tuple(self.exact)

    def is_focal(self, treated: BoolArray) -> BoolArray:
        return ~treated if self.estimand == "ATC" else treated

    def turns(self, levels: IntArray, rank: IntArray) -> IntArray:
        """Order of choosing, as positions, for focal units of these levels and ranks."""
        if self.order == "id":
            return np.argsort(rank)
        if (self.order or ("smallest" if self.estimand == "ATC" else "largest")) == "smallest":
            return np.lexsort((rank, levels))
        return np.lexsort((rank, -levels))

    def description(self) -> str:
        ratio = "" if self.method == "full" else f"1:{self.ratio} "
        words = f"{ratio}{_WORDS[self.method]}"
        if self.method == "nearest":
            words += " with replacement" if self.replace else " without replacement"
        if self.caliper is not None:
            words += f", caliper {self.caliper:g} SD"
        return words + (f", exact on {', '.join(self.columns)}" if self.columns else "")


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Links between rows of the data, and which rows lie in a stratum that one arm is missing from."""

    links: Links
    lonely: BoolArray


def _match_strata(patients: Comparable, options: MatchingOptions, stratum: IntArray) -> _Found:
    grid = on_grid(patients.values)
    focal = options.is_focal(patients.treated)
    reach = float("inf")
    if options.caliper is not None:
        reach = options.caliper * float(np.std(patients.values, ddof=1)) / grid.step
    rows = np.lexsort((patients.rank, grid.levels, stratum))
    starts = np.flatnonzero(np.diff(stratum[rows], prepend=-1))
    lonely = np.zeros(len(rows), dtype=np.bool_)
    made: list[Links] = []
    for own in np.split(rows, starts[1:]):
        if focal[own].all() or not focal[own].any():
            lonely[own] = True
            continue
        local = _link(options, grid.levels[own], focal[own], patients.rank[own], reach)
        made.append(Links(own[local.focal], own[local.other]))
    empty = np.zeros(0, dtype=np.int64)
    links = Links(*(np.concatenate([empty, *(getattr(one, end) for one in made)]) for end in ("focal", "other")))
    return _Found(links, lonely)


def _link(options: MatchingOptions, levels: IntArray, focal: BoolArray, rank: IntArray, reach: float) -> Links:
    if options.method == "full":
        return full_links(levels, focal)
    if options.method == "optimal":
        wanted, there = options.ratio * int(focal.sum()), int((~focal).sum())
        if there < wanted:
            raise AnalysisError(
                "too few patients to match",
                where=", ".join([f"{_WHERE}, method optimal", *_stratum_words(options)]),
                got=f"{there} patients for {int(focal.sum())} of the other arm at {options.ratio} each",
                remedy="use method='full' or 'nearest', a smaller ratio, or the other estimand",
            )
        return optimal_links(levels, focal, ratio=options.ratio)
    place = np.flatnonzero(focal)
    turns = place[options.turns(levels[place], rank[place])]
    return nearest_links(levels, focal, turns, ratio=options.ratio, replace=options.replace, caliper=reach)


def _stratum_words(options: MatchingOptions) -> list[str]:
    return [f"in a stratum of {', '.join(options.columns)}"] if options.columns else []


def _subclass_of_links(links: Links, *, full: bool) -> IntArray:
    """A label per link: its focal unit or, in full matching, the unit at its centre."""
    if not full:
        return links.focal
    degree = np.bincount(links.focal)
    return np.where(degree[links.focal] > 1, links.focal, links.other)


def _numbered(label: IntArray, links: Links, rank: IntArray) -> IntArray:
    """Number subclasses from 1 in the order of their first patient, then of their focal one."""
    unique, own = np.unique(label, return_inverse=True)
    first = np.full(len(unique), np.iinfo(np.int64).max)
    for end in (links.focal, links.other):
        np.minimum.at(first, own, rank[end])
    number = np.empty(len(unique), dtype=np.int64)
    number[np.lexsort((rank[unique], first))] = np.arange(1, len(unique) + 1)
    return number[own]


def _members(
    links: Links, number: IntArray, treated: BoolArray, options: MatchingOptions
) -> tuple[Membership, IntArray]:
    subclass = np.zeros(len(treated), dtype=np.int64)
    if not options.replace:
        subclass[links.focal] = number
        subclass[links.other] = number
        return in_subclasses(subclass, treated, options.estimand), subclass
    focal, first = np.unique(links.focal, return_index=True)
    share = 1.0 / np.bincount(links.focal)[links.focal]
    # Patients used several times weigh more; the weights of their arm sum to how many they are.
    share *= len(np.unique(links.other)) / share.sum()
    members = Membership(
        np.concatenate([focal, links.other]),
        np.concatenate([number[first], number]),
        np.concatenate([np.ones(len(focal)), share]),
    )
    return members, subclass


def _pairs(links: Links, number: IntArray, patients: Comparable) -> pd.DataFrame:
    focal_is_treated = patients.treated[links.focal]
    one = np.where(focal_is_treated, links.focal, links.other)
    zero = np.where(focal_is_treated, links.other, links.focal)
    distance = np.abs(patients.values[one] - patients.values[zero])
    # Within a subclass in the order in which the kernel made the links, which rounding errors cannot change.
    order = np.argsort(number, kind="stable")
    columns = (number, patients.ids[one], patients.ids[zero], distance)
    return pd.DataFrame({name: column[order] for name, column in zip(LINK_COLUMNS, columns, strict=True)})


def _left_out(patients: Comparable, found: _Found, members: Membership, options: MatchingOptions) -> tuple[str, str]:
    """Why patients of each arm have no match, in words."""
    matched = np.zeros(len(patients.rank), dtype=np.bool_)
    matched[members.patient] = True
    focal = options.is_focal(patients.treated)
    in_reach = "nobody left to match" if options.caliper is None else "nobody left within the caliper"
    short = int(np.sum(np.bincount(found.links.focal) % options.ratio > 0)) if options.ratio > 1 else 0
    notes = []
    for own in (patients.treated, ~patients.treated):
        is_focal = options.method != "full" and bool(np.all(focal == own))
        lonely = int(np.sum(own & found.lonely))
        others = int(np.sum(own & ~matched & ~found.lonely))
        words = [f"{lonely}: nobody of the other arm with the same {', '.join(options.columns)}"] if lonely else []
        if others:
            words.append(f"{others}: {in_reach if is_focal else NOT_CHOSEN}")
        if is_focal and short:
            words.append(f"of those matched, {short} have fewer than {options.ratio}")
        notes.append("; ".join(words))
    return notes[0], notes[1]


def _nobody_matched(patients: Comparable, options: MatchingOptions, stratum: IntArray, found: _Found) -> AnalysisError:
    if found.lonely.all():
        return AnalysisError(
            "nobody can be matched",
            where=f"{_WHERE}, exact on {', '.join(options.columns)}",
            got="no combination of levels that both arms have",
            remedy="leave out one of these columns or merge its levels",
        )
    free = _match_strata(patients, replace(options, caliper=None, replace=True, ratio=1), stratum).links
    gap = np.min(np.abs(patients.values[free.focal] - patients.values[free.other]))
    return AnalysisError(
        "nobody can be matched within the caliper",
        where=f"{_WHERE}, caliper {options.caliper:g}",
        got=f"arms at least {gap / np.std(patients.values, ddof=1):.3g} standard deviations apart",
        remedy="widen the caliper, or compare patients eligible for both treatments",
    )
