"""What checking a value may cost at worst, reckoned from the schema alone (X4).

A bound is linear in the JSON size of the value: `fixed + per_byte * size`. Keywords that look at
one value add to `fixed`, those that read it whole to `per_byte`; what is applied to every item of
an array, or every member of an object, moves from the one to the other, since a part takes two
bytes at least. A recursive schema has no such bound, and is checked in a process that can be
killed, as is everything else that is not plainly cheap.

The nanoseconds are more than what was measured, mostly many times that; a wrong guess is made up
for by the fifth of X4's time that is all that is spent here. See pxbox/validation/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf, isfinite
from typing import NamedTuple

from msgspec import Struct

from pxbox.domain.patterns import small_pattern_bytes
from pxbox.domain.schema_graph import MIN_VALUE_BYTES, Graph, Node
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import InvalidSchema, SchemaTooCostly

MAX_EXPANSION = 100_000
"""Subschemas applied to one value, or per byte of it, with every reference written out."""


class Bound(NamedTuple):
    """At most `fixed + per_byte * size`."""

    fixed: float
    per_byte: float

    def plus(self, other: Bound) -> Bound:
        return Bound(self.fixed + other.fixed, self.per_byte + other.per_byte)

    def times(self, factor: float) -> Bound:
        return Bound(self.fixed * factor, self.per_byte * factor)

    def at(self, size_bytes: int) -> float:
        return self.fixed + self.per_byte * size_bytes


_PER_VALUE = Bound(200, 20)
"""What it takes to apply a subschema at all, with a look at each of its members."""
_PER_KEYWORD = Bound(100, 0)
_PER_ERROR = Bound(20_000, 150)
"""An error that is listed carries a copy of the value that it is about."""
_PER_NAME_NS = 50
_PER_LISTED_NS = 200
_PATTERN_NS_PER_BYTE = 0.3
"""Per byte of text and byte of compiled pattern."""
_DEAR = {
    # 5e-324 is no multiple of 7.5: known after 60 microseconds of long division.
    "multipleOf": Bound(60_000, 0),
    "format": Bound(3_000, 300),
    "uniqueItems": Bound(100, 200),
    "minLength": Bound(100, 5),
    "maxLength": Bound(100, 5),
    "contentEncoding": Bound(1_000, 200),
    "contentMediaType": Bound(1_000, 200),
}
_COUNTED = frozenset({"enum", "const"})
_NAMED = frozenset({"required", "dependentRequired", "dependencies"})
_UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_SILENT = frozenset({
    "$schema", "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment", "$vocabulary",
    "$defs", "definitions", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly", "contentSchema", "$ref", "$dynamicRef", "$recursiveRef",
    "allOf", "if", "then", "else",
})  # fmt: skip


class Cost(Struct, frozen=True):
    """The worst case in nanoseconds: to say yes or no (`verdict`), to list every error (`listing`).

    `bounded` is False where there is no such number.
    """

    bounded: bool
    verdict: Bound
    listing: Bound


UNBOUNDED = Cost(bounded=False, verdict=Bound(0, 0), listing=Bound(0, 0))


class _Bounds(NamedTuple):
    """Two bounds of the same cost: `whole` counts every named member as there, once; `dense` puts
    them on the bytes that they take, which is less for what is applied to many values.
    """

    whole: Bound
    dense: Bound

    @property
    def spread(self) -> float:
        """Per byte, where it is applied to every part of a value."""
        return min(b.fixed / MIN_VALUE_BYTES + b.per_byte for b in self)


_ONCE = _Bounds(Bound(1, 0), Bound(1, 0))


class _Sum(NamedTuple):
    """What a subschema costs with all that it applies. `height` is its chain of in-place ones."""

    expansion: _Bounds
    verdict: _Bounds
    listing: _Bounds
    height: int


def reckon(graph: Graph) -> Cost:
    """Return what checking with this schema costs.

    Raises SchemaTooCostly where its references multiply beyond MAX_EXPANSION, and InvalidSchema
    where it applies itself to the same value without end.
    """
    sums: dict[Node, _Sum] = {}
    recursive = False
    for component in _components(graph.nodes, Node.applied):
        if _is_recursive(component, component[0].applied()):
            recursive = True
            _refuse_endless(component)
        for node in component:
            # In a recursion the way back is not counted: each turn is then counted once.
            sums[node] = _add_up(node, sums)
            if max(sums[node].expansion.whole) > MAX_EXPANSION:
                raise _too_costly(node)
    if recursive or graph.uses_meta_schema:
        return UNBOUNDED
    if graph.root is None:
        return Cost(bounded=True, verdict=_PER_VALUE, listing=_PER_ERROR)
    total = sums[graph.root]
    verdict, listing = total.verdict.whole, total.listing.whole
    if not isfinite(verdict.per_byte):
        return UNBOUNDED
    return Cost(bounded=True, verdict=verdict, listing=listing.plus(verdict.times(3)))


def _add_up(node: Node, sums: dict[Node, _Sum]) -> _Sum:
    in_place = [sums[inner] for inner in node.in_place if inner in sums]
    parts = [(sums[inner], size) for inner, size in node.parts if inner in sums]
    each = [sums[inner] for inner in node.each if inner in sums]
    height = 1 + max((inner.height for inner in in_place), default=0)
    # To know what was evaluated, the validator goes through all of them again, level by level.
    repeats = 2 + height if _UNEVALUATED & node.schema.keys() else 1
    verdict, listing = _own(node.schema)
    if not (in_place or parts or each):
        return _Sum(_ONCE, _Bounds(verdict, verdict), _Bounds(listing, listing), height)
    # anyOf and oneOf ask each alternative for a verdict before they ask it for its errors.
    again = [_scaled(inner.verdict, repeats) for inner in in_place]
    return _Sum(
        _join(
            _ONCE.whole,
            [s.expansion for s in in_place],
            [(s.expansion, size) for s, size in parts],
            [s.expansion for s in each],
        ),
        _join(verdict, again, [(s.verdict, size) for s, size in parts], [s.verdict for s in each]),
        _join(
            listing,
            [s.listing for s in in_place] + again,
            [(s.listing, size) for s, size in parts],
            [s.listing for s in each],
        ),
        height,
    )


def _join(
    own: Bound,
    in_place: list[_Bounds],
    parts: list[tuple[_Bounds, int]],
    each: list[_Bounds],
) -> _Bounds:
    spread = own.per_byte + sum(bounds.spread for bounds in each)
    whole = Bound(
        own.fixed + sum(b.whole.fixed for b in in_place) + sum(b.whole.fixed for b, _ in parts),
        spread
        + sum(b.whole.per_byte for b in in_place)
        + max((b.whole.per_byte for b, _ in parts), default=0),
    )
    dense = Bound(
        own.fixed + sum(b.dense.fixed for b in in_place),
        spread
        + sum(b.dense.per_byte for b in in_place)
        + max((b.dense.fixed / size + b.dense.per_byte for b, size in parts), default=0),
    )
    return _Bounds(whole, dense)


def _scaled(bounds: _Bounds, factor: float) -> _Bounds:
    return _Bounds(bounds.whole.times(factor), bounds.dense.times(factor))


def _own(schema: dict[str, object]) -> tuple[Bound, Bound]:
    """Return what the keywords themselves cost: the verdict, and the errors of their own."""
    verdict = _PER_VALUE
    errors = listed = 0
    for keyword, value in schema.items():
        if keyword in _SILENT:
            continue
        verdict = verdict.plus(_verdict(keyword, value))
        errors += _size(value) if keyword in _NAMED else 1
        listed += _size(value) if keyword in _COUNTED else 0
    listing = _PER_ERROR.times(errors).plus(Bound(_PER_LISTED_NS * listed, 0))
    return verdict, listing


def _verdict(keyword: str, value: object) -> Bound:
    if keyword in _DEAR:
        return _DEAR[keyword]
    if keyword in _COUNTED or keyword in _NAMED:
        return Bound(_PER_NAME_NS * _size(value), 0)
    if keyword == "pattern" and isinstance(value, str):
        return _matching([value])
    if keyword == "patternProperties" and isinstance(value, dict):
        return _matching(value)
    if isinstance(value, dict | list):
        return Bound(_PER_NAME_NS * (1 + len(value)), 0)
    return _PER_KEYWORD


def _matching(patterns: Iterable[str]) -> Bound:
    sizes = [small_pattern_bytes(pattern) or inf for pattern in patterns]
    return Bound(_PER_KEYWORD.fixed * len(sizes), _PATTERN_NS_PER_BYTE * sum(sizes))


def _size(value: object) -> int:
    """Count the values inside `value`, itself included; a text counts by its length too."""
    if isinstance(value, dict):
        return 1 + sum(1 + _size(inner) for inner in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(inner) for inner in value)
    return 1 + len(value) // 64 if isinstance(value, str) else 1


def _is_recursive(component: list[Node], successors: Iterable[Node]) -> bool:
    return len(component) > 1 or component[0] in successors


def _components(
    nodes: Iterable[Node], successors: Callable[[Node], list[Node]]
) -> Iterator[list[Node]]:
    """Yield the strongly connected components, each after all that it leads to.

    Source: Tarjan (1972), with a stack of its own: a chain of references may be 5,000 long.
    """
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    open_nodes: list[Node] = []
    closed: set[Node] = set()
    for start in nodes:
        if start in index:
            continue
        path = [(start, iter(successors(start)))]
        index[start] = low[start] = len(index)
        open_nodes.append(start)
        while path:
            node, waiting = path[-1]
            inner = next(waiting, None)
            if inner is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    component = _close(node, open_nodes)
                    closed.update(component)
                    yield component
            elif inner not in index:
                index[inner] = low[inner] = len(index)
                open_nodes.append(inner)
                path.append((inner, iter(successors(inner))))
            elif inner not in closed:
                low[node] = min(low[node], index[inner])


def _close(node: Node, open_nodes: list[Node]) -> list[Node]:
    component = []
    while True:
        component.append(open_nodes.pop())
        if component[-1] is node:
            return component


def _refuse_endless(recursion: list[Node]) -> None:
    """Refuse a recursion that does not descend into the value on its way."""
    inside = set(recursion)

    def in_place(node: Node) -> list[Node]:
        return [inner for inner in node.in_place if inner in inside]

    for component in _components(recursion, in_place):
        if _is_recursive(component, in_place(component[0])):
            pointer = min((node.pointer for node in component), key=len)
            message = "refers to itself for the same value, so that checking would never end"
            raise InvalidSchema(
                "the schema refers to itself without end",
                errors=[FieldError(pointer, message, "$ref")],
            )


def _too_costly(node: Node) -> SchemaTooCostly:
    message = f"applies more than {MAX_EXPANSION:,} subschemas to one value"
    return SchemaTooCostly(
        "the references of the schema multiply beyond what the broker checks",
        errors=[FieldError(node.pointer, message, "$ref")],
    )
