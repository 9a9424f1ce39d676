"""Causal diagrams: what is assumed to cause what, and which covariates it asks to adjust for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cohort.errors import AnalysisError

_ARROW = re.compile(r"^\s*(?P<causes>[\w\s,]+?)\s*->\s*(?P<effects>[\w\s,]+?)\s*$")


@dataclass(frozen=True, slots=True)
class CausalDiagram:
    """A directed acyclic graph of a treatment, an outcome and the variables around them.

    Parameters
    ----------
    arrows
        Pairs of cause and effect.
    treatment, outcome
        Names of two of its variables.
    unmeasured
        Names of variables that nobody measured.

    Raises
    ------
    AnalysisError
        The arrows form a circle, or a name is not in the diagram.

    Examples
    --------
    >>> diagram = read_diagram(["severity -> arm, flare", "arm -> flare"], treatment="arm", outcome="flare")
    >>> diagram.parents_of_both()
    ('severity',)
    >>> diagram.confounding_left_open(["severity"])
    False
    """

    arrows: tuple[tuple[str, str], ...]
    treatment: str
    outcome: str
    unmeasured: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = {self.treatment, self.outcome, *self.unmeasured} - set(self.variables)
        if unknown:
            raise AnalysisError(
                "not a variable of the diagram",
                where="causal diagram",
                got=", ".join(sorted(unknown)),
                remedy="give it an arrow, for instance severity -> arm",
            )
        circular = [name for name in self.variables if name in self.descendants(name)]
        if circular:
            raise AnalysisError(
                "the arrows form a circle",
                where="causal diagram",
                got=", ".join(circular),
                remedy="a cause comes before its effect: name variables by when they are measured",
            )

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable, in order of appearance."""
        return tuple(dict.fromkeys(name for arrow in self.arrows for name in arrow))

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the direct causes of a variable, in order of appearance."""
        return tuple(dict.fromkeys(cause for cause, effect in self.arrows if effect == name))

    def descendants(self, name: str) -> frozenset[str]:
        """Return every variable that a variable causes, directly or through others; itself only in a circle."""
        return _reached(name, self.arrows)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return variables and everything that causes them."""
        backwards = tuple((effect, cause) for cause, effect in self.arrows)
        wanted = frozenset(names)
        return wanted.union(*(_reached(name, backwards) for name in wanted))

    def parents_of_both(self) -> tuple[str, ...]:
        """Return the causes of treatment or outcome that treatment does not cause, measured or not.

        Adjusting for all of them blocks every path by which treatment and outcome have a common cause; causes of the
        outcome alone are among them because they sharpen the estimate.
        """
        after = self.descendants(self.treatment) | {self.treatment, self.outcome}
        causes = (*self.parents(self.treatment), *self.parents(self.outcome))
        return tuple(dict.fromkeys(name for name in causes if name not in after))

    def confounding_left_open(self, adjusted: Collection[str]) -> bool:
        """Whether a path into the treatment still links it with the outcome, given what is adjusted for.

        That is the back-door criterion: without the arrows that leave the treatment, treatment and outcome are
        separated or not. Adjusting for an effect of treatment is another mistake, named by :meth:`mistakes`.
        """
        kept = tuple(arrow for arrow in self.arrows if arrow[0] != self.treatment)
        return not _separated(kept, self.treatment, self.outcome, frozenset(adjusted))

    def mistakes(self, adjusted: Collection[str]) -> tuple[str, ...]:
        """Say in words what is wrong with an adjustment set; empty when nothing is.

        Named are the variables of :meth:`unsuitable`, and confounding that stays open although something measured would
        close it.
        """
        # What nobody measured is judged apart: supposing it known shows what the measured variables leave open.
        unseen = [name for name in self.parents_of_both() if name in self.unmeasured]
        missing = [name for name in self.parents_of_both() if name not in {*unseen, *adjusted}]
        is_open = self.confounding_left_open(adjusted) and self.confounding_left_open([*adjusted, *unseen])
        if not (missing and is_open):
            return self.unsuitable(adjusted)
        return (*self.unsuitable(adjusted), f"measured confounding stays open; to close it, add {', '.join(missing)}")

    def unsuitable(self, adjusted: Collection[str]) -> tuple[str, ...]:
        """Say in words which variables no model of the outcome or of treatment may be adjusted for, and why.

        Named are those that are not in the diagram, that nobody measured, and that treatment causes.
        """
        said = []
        known = set(self.variables)
        after = self.descendants(self.treatment)
        for name in adjusted:
            if name not in known:
                said.append(f"{name} is not in the diagram")
            elif name in self.unmeasured:
                said.append(f"{name} is unmeasured: it cannot be adjusted for")
            elif name in after:
                said.append(f"{name} is caused by {self.treatment}: adjusting for it takes away part of the effect")
            elif name == self.treatment:
                said.append(f"{name} is the treatment itself")
        return tuple(said)

    def unmeasured_confounders(self, adjusted: Collection[str]) -> tuple[str, ...]:
        """Return the unmeasured variables that leave confounding open, whatever measured variable is adjusted for."""
        everything = [*adjusted, *(name for name in self.parents_of_both() if name not in self.unmeasured)]
        if not self.confounding_left_open(everything):
            return ()
        return tuple(name for name in self.parents_of_both() if name in self.unmeasured)


def read_diagram(
    lines: Iterable[str], *, treatment: str, outcome: str, unmeasured: Collection[str] = ()
) -> CausalDiagram:
    """Read a diagram from lines such as ``"class_v, log_upcr -> arm, response"``.

    Parameters
    ----------
    lines
        Causes before the arrow, effects after it, several separated by commas.
    treatment, outcome, unmeasured
        As of :class:`CausalDiagram`.

    Raises
    ------
    AnalysisError
        A line is not of that form, or the diagram is impossible.
    """
    arrows: list[tuple[str, str]] = []
    for line in lines:
        found = _ARROW.match(line)
        if found is None:
            raise AnalysisError(
                "not an arrow", where="causal diagram", got=repr(line), remedy="write for instance severity -> arm"
            )
        causes, effects = (
            [name.strip() for name in found[side].split(",") if name.strip()] for side in ("causes", "effects")
        )
        arrows += [(cause, effect) for cause in causes for effect in effects]
    return CausalDiagram(tuple(dict.fromkeys(arrows)), treatment, outcome, frozenset(unmeasured))


def _reached(start: str, arrows: Collection[tuple[str, str]]) -> frozenset[str]:
    found: set[str] = set()
    front = {start}
    while front:
        front = {effect for cause, effect in arrows if cause in front} - found
        found |= front
    return frozenset(found)


def _separated(arrows: Collection[tuple[str, str]], first: str, second: str, given: frozenset[str]) -> bool:
    """Whether two variables are d-separated: not linked in the moral graph of the ancestors once ``given`` is removed.

    Lauritzen SL, Dawid AP, Larsen BN, Leimer HG. Networks 1990;20:491-505. doi:10.1002/net.3230200503
    """
    backwards = [(effect, cause) for cause, effect in arrows]
    relevant = {first, second, *given}
    relevant = relevant.union(*(_reached(name, backwards) for name in relevant))
    kept = [arrow for arrow in arrows if set(arrow) <= relevant]
    married = {(a, b) for a, child in kept for b, other in kept if child == other and a != b}
    links = {link for link in {*kept, *backwards, *married} if set(link) <= relevant and not set(link) & given}
    return second not in _reached(first, links)
