"""Which branch of a `oneOf` or an `anyOf` is meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pxbox.cli.form.question import SKIPPED, About, Option, Pick
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Alternatives, Schema, View, label, words_for

_NAMED = 3


def about_members(sheet: Sheet, view: View, group: Alternatives) -> bool:
    """Whether the branches only say more of one object: its own members are asked for first."""
    return view.kinds() == {"object"} or all(
        sheet.view(branch).kinds() == {"object"} for branch in group.branches
    )


def pick_branch(sheet: Sheet, group: Alternatives, about: About, known: Any) -> Pick:
    """The question which branch it is to be, beginning at the one that fits what is known."""
    options = [
        Option(name, branch)
        for name, branch in zip(names(sheet, group), group.branches, strict=True)
        if branch is not False
    ]
    fits = [n for n, option in enumerate(options) if fitting(sheet, option.value, known)]
    return Pick(about, tuple(options), fits[0] if fits else None)


def fitting(sheet: Sheet, branch: Schema, known: Any) -> bool:
    """Whether a known value fits the branch."""
    return known is not SKIPPED and sheet.holds(branch, known)


def names(sheet: Sheet, group: Alternatives) -> list[str]:
    """How the branches are called: by their titles, else by what tells them apart."""
    views = [sheet.view(branch) for branch in group.branches]
    telling = discriminators(sheet, group)
    called = [view.title or _description(sheet, view, telling) for view in views]
    return [
        name if name and called.count(name) == 1 else f"{name or 'option'} ({number})"
        for number, name in enumerate(called, 1)
    ]


def discriminators(sheet: Sheet, group: Alternatives) -> list[str]:
    """The members that are a constant in every branch, each time another: who chooses the branch
    has chosen them."""
    views = [sheet.view(branch) for branch in group.branches]
    shared = [name for name in views[0].properties if all(name in v.properties for v in views)]
    found = []
    for name in shared:
        options = [sheet.view(*view.properties[name]).options for view in views]
        values = [label(each[0].value) for each in options if each is not None and len(each) == 1]
        if len(set(values)) == len(views):
            found.append(name)
    return found


def candidates(
    sheet: Sheet, group: Alternatives, answer: Mapping[str, Any], asked: Collection[str]
) -> list[Schema]:
    """The branches that go with the members that were given, and those that were left out."""
    return [
        branch
        for branch in group.branches
        if not (view := sheet.view(branch)).impossible
        and all(name in answer or name not in asked for name in view.required)
        and not any(
            sheet.refusals(schemas, answer[name])
            for name, schemas in view.properties.items()
            if name in answer
        )
    ]


def only_requires(view: View) -> bool:
    """Whether a branch does nothing but ask for members that stand elsewhere."""
    return bool(view.required) and not view.properties and not view.alternatives


def _description(sheet: Sheet, view: View, telling: list[str]) -> str:
    if telling:
        return ", ".join(f"{name}: {label(_constant(sheet, view, name))}" for name in telling)
    if view.help:
        return view.help
    if view.options:
        return ", ".join(option.label for option in view.options[:_NAMED])
    if "object" in view.kinds():
        return " and ".join(sorted(view.required) or list(view.properties)[:_NAMED])
    kinds = " or ".join(words_for(kind) for kind in sorted(view.kinds()))
    return f"{kinds} ({view.format})" if view.format else kinds


def _constant(sheet: Sheet, view: View, name: str) -> Any:
    options = sheet.view(*view.properties[name]).options
    return options[0].value if options else None
