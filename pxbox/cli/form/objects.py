"""Asking for an object: its members, then those that what was said so far brings in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pxbox.cli.form import branches
from pxbox.cli.form.entries import ask_entries
from pxbox.cli.form.places import title_of
from pxbox.cli.form.question import SKIPPED, About, Option, Pick, Proceed
from pxbox.cli.form.view import Alternatives, Conditional, Schema, View
from pxbox.domain.schema_document import pointer_token

if TYPE_CHECKING:
    from pxbox.cli.form.walk import Asking, Walk


def ask_object(walk: Walk, view: View, about: About) -> Asking:
    """Ask for the object that the view describes; one that is optional, only if it is wanted."""
    # Where all entries are wanted or not one by one, the first of them is the question.
    only_entries = not (view.properties or view.required or view.alternatives)
    if not about.required and not only_entries and walk.known.asks(about.pointer):
        known = isinstance(walk.known.at(about.pointer), dict)
        if not (yield Proceed(about, "Fill in", known)):
            return SKIPPED
    object = _Object(walk, list(view.sources), about)
    yield from object.ask_members()
    yield from ask_entries(walk, object.view(), about, object.answer, object.asked)
    return object.answer if object.answer or about.required or not only_entries else SKIPPED


@dataclass(slots=True)
class _Object:
    """An object in the making: what was given, what was asked, which branches were settled."""

    walk: Walk
    schemas: list[Schema]
    about: About
    answer: dict[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)

    def view(self) -> View:
        return self.walk.sheet.view(*self.schemas)

    def ask_members(self) -> Asking:
        """Ask until neither a member nor a branch is left."""
        while True:
            self._apply_conditionals()
            view = self.view()
            first = self._unsettled(view, at_once=True)
            name = None if first else self._next(view)
            if name is not None:
                yield from self._ask_member(name, view)
                continue
            group = first or self._unsettled(view, at_once=False)
            if group is None:
                return None
            yield from self._settle(group)

    def _ask_member(self, name: str, view: View) -> Asking:
        self.asked.add(name)
        value = yield from self.walk.value(
            view.properties.get(name, [True]), self._member(name, view)
        )
        if value is not SKIPPED:
            self.answer[name] = value
            self.walk.given = self.walk.given.with_value(
                self.about.pointer + pointer_token(name), value
            )
        return None

    def _member(self, name: str, view: View) -> About:
        title = title_of(view.properties.get(name, ()), name)
        return About(
            self.about.pointer + pointer_token(name),
            (*self.about.trail, title),
            "",
            name in view.required,
        )

    def _next(self, view: View) -> str | None:
        """The next member, in the order of the schema; what hangs on others comes after them."""
        names = list(dict.fromkeys([*view.properties, *sorted(view.required)]))
        left = [n for n in names if n not in self.asked | self.excluded]
        later = {
            name
            for conditional in view.conditionals
            if conditional.key not in self.settled
            for name in self._brought_in(conditional)
        }
        return next((n for n in left if n not in later), left[0] if left else None)

    def _brought_in(self, conditional: Conditional) -> set[str]:
        views = [self.walk.sheet.view(s) for s in (conditional.then, conditional.otherwise)]
        return {name for view in views for name in (*view.properties, *view.required)}

    def _apply_conditionals(self) -> None:
        """Add what holds now of each conditional whose members were all asked for."""
        while ready := [c for c in self.view().conditionals if self._ready(c)]:
            for conditional in ready:
                self.settled.add(conditional.key)
                self.schemas.append(self.walk.sheet.active(conditional, self.answer))

    def _ready(self, conditional: Conditional) -> bool:
        if conditional.key in self.settled:
            return False
        view = self.view()
        condition = self.walk.sheet.view(conditional.condition)
        looks_at = {*condition.properties, *condition.required}
        if not looks_at:
            looks_at = {*view.properties} - self._brought_in(conditional)
        return not (looks_at & {*view.properties, *view.required}) - self.asked - self.excluded

    def _unsettled(self, view: View, *, at_once: bool) -> Alternatives | None:
        """A choice that is still to be made; `at_once`: before the members that it is about."""
        for group in view.alternatives:
            if group.key in self.settled:
                continue
            inner = [self.walk.sheet.view(branch) for branch in group.branches]
            needed = {name for each in inner for name in each.required}
            early = all(map(branches.only_requires, inner)) and not needed & self.asked
            if early or not at_once:
                return group
        return None

    def _settle(self, group: Alternatives) -> Asking:
        """Find the branch by what was answered, else by asking which one it is to be."""
        self.settled.add(group.key)
        sheet = self.walk.sheet
        left = branches.candidates(sheet, group, self.answer, self.asked)
        if len(left) == 1:
            self._take(group, left[0])
            return None
        views = [sheet.view(branch) for branch in left]
        new = {n for view in views for n in (*view.properties, *view.required)} - self.asked
        if not new:
            return None
        branch = yield from self._choose(Alternatives(left, group.exclusive))
        for name in branches.discriminators(sheet, group):
            options = sheet.view(*sheet.view(branch).properties[name]).options
            if options and name not in self.asked:
                self.answer[name] = options[0].value
                self.asked.add(name)
        self._take(group, branch)
        return None

    def _choose(self, group: Alternatives) -> Asking:
        known = self.walk.known.at(self.about.pointer)
        about = replace(self.about, help="Which of these?", required=True)
        pick = branches.pick_branch(self.walk.sheet, group, about, known)
        if pick.start is not None and not self.walk.known.asks(self.about.pointer):
            return pick.options[pick.start].value
        return (yield pick)

    def _take(self, group: Alternatives, branch: Schema) -> None:
        self.schemas.append(branch)
        sheet = self.walk.sheet
        others = [sheet.view(each) for each in group.branches if each is not branch]
        if group.exclusive and all(map(branches.only_requires, others)):
            needed = {name for view in others for name in view.required}
            self.excluded |= needed - sheet.view(branch).required


KEEP, CHANGE, REMOVE = "keep", "change", "remove"


def keep_or_change(about: About, shown: str) -> Pick:
    """What is to become of a part that is there already."""
    options = tuple(Option(word, word) for word in (KEEP, CHANGE, REMOVE))
    return Pick(replace(about, help=shown, required=True), options, 0)
