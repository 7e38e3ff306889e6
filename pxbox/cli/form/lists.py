"""Asking for an array: an item at a time, or several options at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pxbox.cli.form.objects import CHANGE, REMOVE, keep_or_change
from pxbox.cli.form.places import masked
from pxbox.cli.form.question import SKIPPED, About, PickMany, Proceed
from pxbox.cli.form.reading import judge
from pxbox.cli.form.view import Schema, View, label

if TYPE_CHECKING:
    from pxbox.cli.form.walk import Asking, Walk

_SHOWN = 60


def ask_list(walk: Walk, view: View, about: About) -> Asking:
    """Ask for the list that the view describes; SKIPPED for an optional one without items."""
    known = walk.known.at(about.pointer)
    old = known if isinstance(known, list) else []
    item = walk.sheet.view(*view.items)
    if view.unique and item.options is not None and not view.prefix:
        chosen = yield _pick_many(walk, view, item, about, old)
        return chosen if chosen or about.required else SKIPPED
    values: list[Any] = []
    if walk.known.asks(about.pointer):
        kept, changing = yield from _go_over(walk, view, about, old)
        walk.known = walk.known.with_value(about.pointer, kept)
    else:
        kept, changing = old, set(range(len(old)))
    for index, each in enumerate(kept):
        if index in changing:
            each = yield from walk.value(_schemas(view, index), _item(about, index))
        values.append(each)
    if walk.known.asks(about.pointer):
        yield from _add(walk, view, about, values)
    return values if values or about.required else SKIPPED


def _go_over(walk: Walk, view: View, about: About, old: list[Any]) -> Asking:
    """Which of the items that are there stay, and which of those are to change."""
    kept: list[Any] = []
    changing: set[int] = set()
    for index, each in enumerate(old):
        shown = label(masked(walk.sheet, _schemas(view, index), each))[:_SHOWN]
        fate = yield keep_or_change(_item(about, index), shown)
        if fate == CHANGE:
            changing.add(len(kept))
        if fate != REMOVE:
            kept.append(each)
    return kept, changing


def _add(walk: Walk, view: View, about: About, values: list[Any]) -> Asking:
    """Ask for more items, as long as there may and shall be any."""
    while view.max_items is None or len(values) < view.max_items:
        schemas = _schemas(view, len(values))
        if walk.sheet.view(*schemas).impossible or (not schemas and not view.min_items):
            return None
        if len(values) >= view.min_items:
            text = "Add another to" if values else "Add to"
            if not (yield Proceed(about, text, False)):
                return None
        elif not values and not about.required and not (yield Proceed(about, "Fill in", False)):
            return None
        values.append((yield from walk.value(schemas or [True], _item(about, len(values)))))
    return None


def _schemas(view: View, index: int) -> list[Schema]:
    if index < len(view.prefix):
        return [view.prefix[index]]
    return view.items


def _item(about: About, index: int) -> About:
    *outer, last = about.trail or ("item",)
    trail = (*outer, f"{last} {index + 1}")
    return replace(about, pointer=f"{about.pointer}/{index}", trail=trail, help="", required=True)


def _pick_many(walk: Walk, view: View, item: View, about: About, old: list[Any]) -> PickMany:
    def read(values: list[Any]) -> list[Any]:
        if values or about.required:
            judge(walk.sheet, view, values)
        return values

    options = tuple(item.options or ())
    chosen = {label(value) for value in old}
    start = frozenset(n for n, option in enumerate(options) if label(option.value) in chosen)
    return PickMany(about, options, start, read)
