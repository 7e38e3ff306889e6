"""The walk through a schema, which asks for each value in its turn."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pxbox.cli.form.branches import about_members, pick_branch
from pxbox.cli.form.lists import ask_list
from pxbox.cli.form.marks import Known
from pxbox.cli.form.objects import ask_object
from pxbox.cli.form.question import SKIPPED, About, File, Option, Pick, Question, Text, YesNo
from pxbox.cli.form.reading import hint, read, typed
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Alternatives, Schema, View, label, type_of, words_for

Asking = Generator[Question, Any, Any]
"""Yields questions, is sent their replies, returns the value or SKIPPED."""


@dataclass(slots=True)
class Walk:
    """One answer in the making. `asked` has the places that were come by, with their titles."""

    sheet: Sheet
    known: Known = field(default_factory=Known)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What was given so far, also where the walk is broken off; and what was known before.
    given: Known = field(default_factory=Known)
    _before: frozenset[str] = frozenset()

    def run(self) -> Asking:
        """Ask for the whole answer, or for what of it is to be asked again, and for what is new:
        another answer may have brought it in."""
        self._before = frozenset(self.asked)
        self.given = Known(self.known.value)
        return (yield from self.value([self.sheet.schema], About("", (), "", required=True)))

    def value(self, schemas: list[Schema], about: About) -> Asking:
        """Ask for one value that all these schemas must hold for."""
        view = self.sheet.view(*schemas)
        known = self.known.at(about.pointer)
        about = replace(about, help=about.help or view.help)
        new = self._before and about.pointer not in self._before
        if new or (about.required and self.known.lacks(about.pointer)):
            self.known = self.known.asking_too(about.pointer)
        self.asked[about.pointer] = about.trail
        if view.impossible:
            return SKIPPED
        if self.known.stands(about.pointer) or (
            view.read_only and (known is not SKIPPED or not about.required)
        ):
            return known
        settled: set[str] = set()
        while group := self._open_choice(view, settled):
            settled.add(group.key)
            branch = yield from self._branch(group, about, known)
            if branch is SKIPPED:
                return SKIPPED
            # To choose it was to want it.
            about = replace(about, required=True)
            view = self.sheet.view(*view.sources, branch)
        return (yield from self._typed(view, about, known))

    def _open_choice(self, view: View, settled: set[str]) -> Alternatives | None:
        """The next branching to be settled before the value can be asked for."""
        return next(
            (
                group
                for group in view.alternatives
                if group.key not in settled and not about_members(self.sheet, view, group)
            ),
            None,
        )

    def _branch(self, group: Alternatives, about: About, known: Any) -> Asking:
        pick = pick_branch(self.sheet, group, about, known)
        if pick.start is not None and not self.known.asks(about.pointer):
            return pick.options[pick.start].value
        return (yield pick)

    def _typed(self, view: View, about: About, known: Any) -> Asking:
        """Ask for a value by its type, which is chosen first where there are several."""
        if view.options is not None:
            return (yield self._pick(view.options, about, known))
        # Only choices between members are left open here.
        kinds = view.kinds() or ({"object"} if view.alternatives else set())
        if "number" in kinds:
            kinds = kinds - {"integer"}
        if len(kinds) > 1:
            options = [Option(words_for(kind), kind) for kind in sorted(kinds)]
            kind = yield self._pick(options, about, type_of(known))
            if kind is SKIPPED:
                return SKIPPED
            about, kinds = replace(about, required=True), {kind}
            view = self.sheet.view(*view.sources, {"type": kind})
        if kinds == {"object"} and _has_members(view):
            return (yield from ask_object(self, view, about))
        if kinds == {"array"} and (view.items or view.prefix):
            return (yield from ask_list(self, view, about))
        if kinds == {"null"}:
            return None
        if kinds == {"boolean"}:
            start = known if isinstance(known, bool) else view.default
            return (yield YesNo(about, start if isinstance(start, bool) else None))
        return (yield self._text(view, about, known))

    def _pick(self, options: list[Option], about: About, known: Any) -> Pick:
        values = [label(option.value) for option in options]
        shown = None if known is SKIPPED else label(known)
        return Pick(about, tuple(options), values.index(shown) if shown in values else None)

    def _text(self, view: View, about: About, known: Any) -> Text | File:
        if view.is_file():
            return File(about, known if isinstance(known, str) else "")
        value = view.default if known is SKIPPED and view.has_default else known
        start = "" if value is SKIPPED or view.secret else typed(view, value)
        return Text(about, partial(read, self.sheet, view), start, hint(view), view.secret)


def _has_members(view: View) -> bool:
    return bool(view.properties or view.required or view.entries or view.alternatives)
