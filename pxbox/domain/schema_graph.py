"""What a schema applies to what: its subschemas, and where its references lead.

Every reference is resolved here, inside the document and the known meta-schemas only (X3). The
cost of a schema is reckoned from the graph, so where it cannot be exact it has too many edges,
never too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urldefrag, urljoin, urlsplit

from referencing.exceptions import Unresolvable
from referencing.jsonschema import Schema

from pxbox.domain.dialect import (
    META_VALIDATORS,
    REGISTRY,
    SPECIFICATION,
    Draft,
    is_known_uri,
    named_draft,
)
from pxbox.domain.schema_document import JsonSchema, pointer_token
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import InvalidSchema, UnresolvableRef

if TYPE_CHECKING:
    from referencing._core import Resolver

MIN_VALUE_BYTES = 2
"""What a value inside another takes at least: itself, and what parts it from the next."""


class Role(Enum):
    """What a keyword does with the subschemas in it."""

    HOLD = auto()
    IN_PLACE = auto()
    MEMBERS = auto()
    POSITIONS = auto()
    EACH = auto()


_ROLES = {
    "allOf": Role.IN_PLACE,
    "anyOf": Role.IN_PLACE,
    "oneOf": Role.IN_PLACE,
    "not": Role.IN_PLACE,
    "if": Role.IN_PLACE,
    "then": Role.IN_PLACE,
    "else": Role.IN_PLACE,
    "dependentSchemas": Role.IN_PLACE,
    "dependencies": Role.IN_PLACE,
    "properties": Role.MEMBERS,
    "prefixItems": Role.POSITIONS,
    "patternProperties": Role.EACH,
    "additionalProperties": Role.EACH,
    "propertyNames": Role.EACH,
    "unevaluatedProperties": Role.EACH,
    # With one for each position, as drafts before 2020-12 have it, this has too many edges.
    "items": Role.EACH,
    "additionalItems": Role.EACH,
    "contains": Role.EACH,
    "unevaluatedItems": Role.EACH,
    "contentSchema": Role.HOLD,
    "definitions": Role.HOLD,
    "$defs": Role.HOLD,
}
_MAPS = frozenset({
    "dependentSchemas", "dependencies", "properties", "patternProperties", "definitions", "$defs",
})  # fmt: skip
REFERENCES = {
    Draft.D2020_12: ("$ref", "$dynamicRef"),
    Draft.D2019_09: ("$ref", "$recursiveRef"),
    Draft.D7: ("$ref",),
}
_DYNAMIC_ANCHOR = {"$dynamicRef": "$dynamicAnchor", "$recursiveRef": "$recursiveAnchor"}
_FALSE: dict[str, object] = {"not": True}
_NAMING = frozenset({"$id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor"})


# Where `false` yields one error for all parts together, and not one for each.
_TOGETHER = frozenset({
    "additionalProperties", "unevaluatedProperties", "additionalItems", "unevaluatedItems",
    "contains",
})  # fmt: skip


@dataclass(slots=True, eq=False)
class Node:
    """One subschema but `true`, and what it applies when it is applied to a value.

    `in_place` go to the same value, references included; `parts` each to another part of it, with
    the bytes of JSON that such a part takes at least; `each` to any number of its parts.
    """

    schema: dict[str, object]
    pointer: str
    in_place: list[Node] = field(default_factory=list)
    parts: list[tuple[Node, int]] = field(default_factory=list)
    each: list[Node] = field(default_factory=list)

    def applied(self) -> list[Node]:
        return [*self.in_place, *(node for node, _ in self.parts), *self.each]


@dataclass(frozen=True, slots=True)
class Graph:
    """`root` is None for the schema `true`, which costs nothing.

    `uses_meta_schema`: something refers to a meta-schema. Those are not in the graph.
    """

    root: Node | None
    nodes: list[Node]
    uses_meta_schema: bool


@dataclass(frozen=True, slots=True)
class _Scope:
    """The resource that a subschema is in: its URI, and how references resolve there."""

    base: str
    resolver: Resolver[Schema]


@dataclass(frozen=True, slots=True)
class _Reference:
    source: Node
    keyword: str
    scope: _Scope
    uri: str

    @property
    def pointer(self) -> str:
        return self.source.pointer + pointer_token(self.keyword)


def build_graph(schema: JsonSchema, draft: Draft) -> Graph:
    """Follow every subschema and every reference of a schema that is valid by its meta-schema.

    Raises UnresolvableRef, UnsupportedDialect, and InvalidSchema for an identifier that is no
    URI, is declared twice, or belongs to a meta-schema, and for an embedded schema of another
    draft.
    """
    walk = _Walk(draft)
    resource = SPECIFICATION[draft].create_resource(schema)
    registry = REGISTRY.with_resource(resource.id() or "", resource)
    # An `$id` that is no URI ends in the first, and is refused below, where its place is known.
    # The library ends in the second where a draft 7 `dependencies` has schemas beside names, as it
    # looks for an `$id` there; references by pointer are resolved all the same.
    with suppress(ValueError, AttributeError):
        # At once: the resolver would do it anew for each reference by name.
        registry = registry.crawl()
    root = walk.visit(schema, _Scope("", registry.resolver()), "")
    walk.follow()
    return Graph(root, list(walk.nodes.values()), walk.uses_meta_schema)


def subschemas(schema: dict[str, object]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield what stands at the keywords that hold subschemas, with its place below `schema`."""
    for keyword, inner in schema.items():
        if keyword not in _ROLES:
            continue
        if keyword in _MAPS:
            if isinstance(inner, dict):
                for name, each in inner.items():
                    yield (keyword, name), each
        elif isinstance(inner, list):
            for position, each in enumerate(inner):
                yield (keyword, position), each
        else:
            yield (keyword,), inner


class _Walk:
    """The subschemas found so far, by identity: where two references meet is one node."""

    def __init__(self, draft: Draft) -> None:
        self.nodes: dict[int, Node] = {}
        self.uses_meta_schema = False
        self._draft = draft
        self._waiting: list[tuple[Node, _Scope]] = []
        self._references: list[_Reference] = []
        self._resolved: dict[tuple[str, str], Node | None] = {}
        self._declared: set[str] = set()
        self._overriding: dict[tuple[str, str], Node] = {}

    def visit(self, schema: object, scope: _Scope, pointer: str) -> Node | None:
        """Return the node of `schema`, to be walked if it is new; None for `true`."""
        if schema is False:
            schema = _FALSE
        if not isinstance(schema, dict):
            return None
        node = self.nodes.get(id(schema))
        if node is None:
            node = self.nodes[id(schema)] = Node(schema, pointer)
            self._waiting.append((node, scope))
        return node

    def follow(self) -> None:
        """Walk what waits, then what that refers to, until nothing new is found."""
        while self._waiting or self._references:
            while self._waiting:
                self._walk(*self._waiting.pop())
            # Only now: a target inside the document has its own pointer by then.
            references, self._references = self._references, []
            for reference in references:
                target = self._resolve(reference)
                if target is not None:
                    reference.source.in_place.append(self._any_of(reference, target))

    def _walk(self, node: Node, scope: _Scope) -> None:
        schema = node.schema
        if not _NAMING.isdisjoint(schema):
            scope = self._enter(node, scope)
        for keyword in REFERENCES[self._draft]:
            uri = schema.get(keyword)
            if isinstance(uri, str):
                self._references.append(_Reference(node, keyword, scope, uri))
        # Source: draft 7, core, 8.3: the other members of such an object are ignored.
        only_reference = self._draft is Draft.D7 and "$ref" in schema
        for keyword, inner in schema.items():
            role = _ROLES.get(keyword)
            if role is None or (inner is False and keyword in _TOGETHER):
                continue
            if role is Role.HOLD or not only_reference:
                self._apply(node, keyword, inner, scope)

    def _apply(self, node: Node, keyword: str, inner: object, scope: _Scope) -> None:
        pointer = f"{node.pointer}/{keyword}"
        many: list[tuple[str | int, object]]
        if keyword in _MAPS:
            many = list(inner.items()) if isinstance(inner, dict) else []
        elif isinstance(inner, list):
            many = list(enumerate(inner))
        else:
            self._join(node, keyword, self.visit(inner, scope, pointer), 0)
            return
        for key, each in many:
            inside = self.visit(each, scope, pointer + pointer_token(key))
            self._join(node, keyword, inside, len(key) if isinstance(key, str) else 0)

    def _join(self, node: Node, keyword: str, inner: Node | None, name_length: int) -> None:
        if inner is None:
            return
        match _ROLES[keyword]:
            case Role.IN_PLACE:
                node.in_place.append(inner)
            case Role.EACH:
                node.each.append(inner)
            case Role.POSITIONS:
                node.parts.append((inner, MIN_VALUE_BYTES))
            case Role.MEMBERS:
                # Two quotes and a colon, beside the name.
                node.parts.append((inner, name_length + 3 + MIN_VALUE_BYTES))

    def _enter(self, node: Node, scope: _Scope) -> _Scope:
        """Return the scope inside `node`, which may be a resource of its own."""
        schema = node.schema
        dialect = schema.get("$schema")
        if isinstance(dialect, str) and node.pointer:
            pointer = node.pointer + "/$schema"
            if named_draft(dialect, pointer) is not self._draft:
                _refuse(pointer, "must be the draft of the whole document", "$schema")
        resource = SPECIFICATION[self._draft].create_resource(schema)
        uri = resource.id()
        try:
            if uri is not None:
                base = urljoin(scope.base, uri)
                urlsplit(base)
                scope = _Scope(base, scope.resolver.in_subresource(resource))
        except ValueError:
            _refuse_identifier(node.pointer)
        self._declare(node, scope.base, is_resource=uri is not None)
        return scope

    def _declare(self, node: Node, base: str, *, is_resource: bool) -> None:
        """Refuse what is declared twice: the validator and this graph might take different ones."""
        names = [base] if is_resource else []
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.schema.get(keyword), str):
                names.append(f"{base}#{node.schema[keyword]}")
        legacy = node.schema.get("$id")
        if self._draft is Draft.D7 and isinstance(legacy, str) and legacy.startswith("#"):
            names.append(base + legacy)
        for name in names:
            if name in self._declared:
                _refuse(node.pointer, "declares an identifier for the second time", "$id")
            if is_known_uri(name):
                _refuse(node.pointer, "takes the identifier of a meta-schema", "$id")
        self._declared.update(names)
        for keyword in _DYNAMIC_ANCHOR.values():
            if node.schema.get(keyword):
                self._hub(keyword, node).in_place.append(node)

    def _resolve(self, reference: _Reference) -> Node | None:
        key = (reference.scope.base, reference.uri)
        if key not in self._resolved:
            self._resolved[key] = self._look_up(reference)
        return self._resolved[key]

    def _look_up(self, reference: _Reference) -> Node | None:
        base, uri = reference.scope.base, reference.uri
        try:
            target = urldefrag(base if uri.startswith("#") else urljoin(base, uri)).url
            found = reference.scope.resolver.lookup(uri)
        except (Unresolvable, ValueError, TypeError, AttributeError):
            # All but the first: how the library fails at a pointer that enters an array by a name,
            # or a number, and as said in build_graph.
            _refuse_reference(reference)
        if is_known_uri(target):
            self.uses_meta_schema = True
            return None
        known = id(found.contents) in self.nodes
        # What stands at an unknown keyword has not been checked with the rest of the document.
        if not known and not META_VALIDATORS[self._draft].is_valid(found.contents):
            _refuse(reference.pointer, "leads to what is not a schema", reference.keyword)
        return self.visit(found.contents, _Scope(target, found.resolver), reference.pointer)

    def _any_of(self, reference: _Reference, target: Node) -> Node:
        """Return all that a dynamic reference may lead to, whatever the way to it was."""
        anchor = _DYNAMIC_ANCHOR.get(reference.keyword)
        if anchor is None or not target.schema.get(anchor):
            return target
        return self._hub(anchor, target)

    def _hub(self, keyword: str, node: Node) -> Node:
        """Return the node that stands for every subschema with this dynamic anchor."""
        name = (keyword, str(node.schema[keyword]))
        if name not in self._overriding:
            hub = self._overriding[name] = Node({}, node.pointer)
            self.nodes[id(hub)] = hub
        return self._overriding[name]


def _refuse_reference(reference: _Reference) -> NoReturn:
    message = (
        f"leads nowhere in this document: {reference.uri[:200]!r}; "
        "schemas are not fetched from elsewhere"
    )
    raise UnresolvableRef(
        "a reference of the schema cannot be resolved",
        errors=[FieldError(reference.pointer, message, reference.keyword)],
    )


def _refuse_identifier(pointer: str) -> NoReturn:
    _refuse(pointer + "/$id", "is not a URI reference", "$id")


def _refuse(pointer: str, message: str, keyword: str) -> NoReturn:
    raise InvalidSchema(
        "the schema contradicts itself or its draft",
        errors=[FieldError(pointer, message, keyword)],
    )
