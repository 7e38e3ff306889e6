"""A schema with what its questions need: its references resolved, its parts judged on their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

from jsonschema_rs import ValidationError, Validator
from referencing.exceptions import Unresolvable

from pxbox.cli.form.view import Conditional, Schema, View
from pxbox.domain.answer import check
from pxbox.domain.dialect import (
    META_SCHEMAS,
    REGISTRY,
    SPECIFICATION,
    Draft,
    build_validator,
    draft_of,
)
from pxbox.model.errors import FieldError

# What relative identifiers inside can be joined to.
_ROOT = "https://form.invalid/form"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Sheet:
    """One schema that was admitted by a broker."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._draft = draft_of(schema)
        resource = SPECIFICATION[self._draft].create_resource(schema)
        self._resolver = REGISTRY.with_resource(resource.id() or "", resource).resolver(
            resource.id() or ""
        )
        self._validators: dict[str, Validator] = {}

    def view(self, *schemas: Schema) -> View:
        """What these schemas of one value say together."""
        view = View(sources=list(schemas))
        for schema in schemas:
            self._gather(schema, view, set())
        return view

    def _gather(self, schema: Schema, view: View, followed: set[str]) -> None:
        if not isinstance(schema, dict):
            view.impossible |= schema is False
            return
        view.add(schema)
        for keyword in _REFERENCES:
            uri = schema.get(keyword)
            if isinstance(uri, str) and uri not in followed:
                self._gather(self._target(uri), view, followed | {uri})
        inner = schema.get("allOf")
        for part in inner if isinstance(inner, list) else ():
            self._gather(part, view, followed)

    def _target(self, uri: str) -> Schema:
        try:
            return self._resolver.lookup(uri).contents
        except (Unresolvable, ValueError, TypeError, AttributeError):
            # Relative to an `$id` inside: asked for without it, judged with it.
            return True

    def errors(self, value: Any) -> list[FieldError]:
        """Every error of a whole answer, as the broker finds them."""
        return check(self._validator(self.schema), value)

    def refusals(self, schemas: Iterable[Schema], value: Any) -> list[FieldError]:
        """Every error of a value that all these schemas must hold for."""
        joined = list(schemas)
        return check(self._validator(joined[0] if len(joined) == 1 else {"allOf": joined}), value)

    def holds(self, schema: Schema, value: Any) -> bool:
        return self._validator(schema).is_valid(value)

    def active(self, conditional: Conditional, value: Any) -> Schema:
        """What the conditional adds for this value."""
        return (
            conditional.then if self.holds(conditional.condition, value) else conditional.otherwise
        )

    def _validator(self, schema: Schema) -> Validator:
        key = json.dumps(schema)
        if key not in self._validators:
            try:
                self._validators[key] = build_validator(self._alone(schema), self._draft)
            except ValidationError:
                # Relative to an `$id` inside. The whole answer is judged where it stands.
                self._validators[key] = build_validator(True, self._draft)
        return self._validators[key]

    def _alone(self, schema: Schema) -> Schema:
        """A document that judges as `schema` does where it stands in the whole."""
        if schema is self.schema or not isinstance(self.schema, dict):
            return schema
        root = self.schema.get("$id", _ROOT)
        holder = "definitions" if self._draft is Draft.D7 else "$defs"
        return {
            "$schema": META_SCHEMAS[self._draft],
            "allOf": [_rooted(schema, root)],
            holder: {"whole": {**self.schema, "$id": root}},
        }


def _rooted(schema: Any, root: str) -> Any:
    """The same, with references into the whole document in place of those into itself."""
    if isinstance(schema, list):
        return [_rooted(inner, root) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: urljoin(root, inner)
        if key in _REFERENCES and isinstance(inner, str)
        else _rooted(inner, root)
        for key, inner in schema.items()
    }
