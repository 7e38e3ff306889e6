"""A schema and all that it refers to, put together into one document (X3).

What is fetched is embedded under the name that it was fetched by, its `$id`, so that references
go on leading where they led. Source: JSON Schema 2020-12, core, 9.3. The rules for identifiers are
those of `referencing`. Whether the whole may be used is for its admission to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag, urljoin

from pxbox.domain.dialect import SPECIFICATION, Draft, draft_of, is_known_uri
from pxbox.domain.schema_document import MAX_SCHEMA_BYTES, Document, JsonSchema, pointer_token
from pxbox.domain.schema_graph import REFERENCES, subschemas
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import SchemaTooLarge, UnresolvableRef

MOST_DOCUMENTS = 32
"""That one schema may bring in. Source: schemas/limits.json, `refDocuments`."""
MOST_HOPS = 8
"""From one document to the next. Source: schemas/limits.json, `refHops`."""

_MOST_BASE = 2_048
"""Characters of an identifier: each reference is joined to one."""
_ANNOTATIONS = frozenset({"title", "description", "$comment", "default", "examples"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document to be fetched: its URI, and where the schema, or a document, asks for it."""

    uri: str
    pointer: str
    hops: int


@dataclass(slots=True)
class _Reference:
    """`schema[keyword]` refers to `target`, less its fragment, which stands beside."""

    schema: dict[str, object]
    keyword: str
    target: str
    fragment: str
    pointer: str
    hops: int


class Bundle:
    """Takes the schema, says what it wants, takes what was fetched, until nothing is wanted.

    The schema and the documents are its own from then on: they are changed.
    """

    def __init__(self, document: Document) -> None:
        self._root = document.value
        self._bytes = len(document.canonical)
        # Of a schema that is silent, what it refers to decides.
        self._silent = not (isinstance(self._root, dict) and "$schema" in self._root)
        self._draft = draft_of(self._root)
        self._fetched: dict[str, dict[str, object]] = {}
        self._resources: dict[str, object] = {}
        self._renamed: dict[str, str] = {}
        self._references: list[_Reference] = []
        self._unread = 0
        self._seen: set[int] = set()
        self._hops: dict[str, int] = {"": 0}
        self._resources[""] = self._root
        self._walk(self._root, "", "", 0)

    def wanted(self) -> Wanted | None:
        """Return a document that is missing; None if the bundle is whole.

        Raises UnresolvableRef where there are too many, or too many after one another.
        """
        while self._unread < len(self._references):
            reference = self._references[self._unread]
            if not self._follow(reference):
                if len(self._fetched) >= MOST_DOCUMENTS:
                    raise refused(
                        reference.pointer, f"there are more than {MOST_DOCUMENTS} documents"
                    )
                if reference.hops >= MOST_HOPS:
                    raise refused(reference.pointer, f"is more than {MOST_HOPS} documents away")
                return Wanted(reference.target, reference.pointer, reference.hops + 1)
            self._unread += 1
        return None

    def add(self, wanted: Wanted, uri: str, document: Document) -> None:
        """Take what was fetched for `wanted`. `uri` is where it was found, in the end.

        Raises SchemaTooLarge, and UnsupportedDialect.
        """
        self._bytes += len(document.canonical)
        if self._bytes > MAX_SCHEMA_BYTES:
            raise SchemaTooLarge(
                f"a schema has at most {MAX_SCHEMA_BYTES:,} bytes of JSON with all that it refers "
                "to", limit=MAX_SCHEMA_BYTES,
            )  # fmt: skip
        value = document.value
        content: dict[str, object] = value if isinstance(value, dict) else {"allOf": [value]}
        if self._silent and isinstance(content.get("$schema"), str):
            self._draft, self._silent = draft_of(content), False
        if self._draft is Draft.D7 and "$ref" in content:
            content = _apart(content)
        name = self._identifier(content)
        named = uri if name is None else urldefrag(_join(uri, name)).url
        self._renamed[uri] = self._renamed[wanted.uri] = named
        if named in self._resources:
            return
        content = {"$id": named, **{key: one for key, one in content.items() if key != "$id"}}
        self._fetched[named] = content
        self._resources[named] = content
        self._walk(content, named, named + "#", wanted.hops)

    def schema(self) -> JsonSchema:
        """Return the whole as one document; call it once, when nothing is wanted any more."""
        for reference in self._references:
            named = self._renamed.get(reference.target)
            if named is not None and named != reference.target:
                fragment = f"#{reference.fragment}" if reference.fragment else ""
                reference.schema[reference.keyword] = named + fragment
        if not self._fetched or not isinstance(self._root, dict):
            return self._root
        root, embedded = self._adopted(self._root)
        if not embedded:
            return root
        keyword = "definitions" if self._draft is Draft.D7 else "$defs"
        if self._draft is Draft.D7 and "$ref" in root:
            root = _apart(root)
        if not self._silent and "$schema" not in root:
            said = next(one["$schema"] for one in self._fetched.values() if "$schema" in one)
            root = {"$schema": said, **root}
        held = root.get(keyword, {})
        if not isinstance(held, dict):
            return root
        return {**root, keyword: {**held, **embedded}}

    def _adopted(
        self, root: dict[str, object]
    ) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
        """Return the root and what is to be embedded in it.

        A schema that is nothing but a reference to a whole document becomes that document: forms
        and lists find at its root what they look for.
        """
        name = root.get("$ref")
        name = name.removesuffix("#") if isinstance(name, str) else ""
        target = self._fetched.get(name)
        if target is None or not root.keys() <= _ANNOTATIONS | {"$ref", "$schema"}:
            return root, self._fetched
        said = {key: one for key, one in root.items() if key in _ANNOTATIONS}
        others = {uri: one for uri, one in self._fetched.items() if uri != name}
        return {**target, **said}, others

    def _walk(self, root: object, base: str, pointer: str, hops: int) -> None:
        """Collect the references and the identifiers below `root`."""
        waiting = [(root, base, pointer)]
        while waiting:
            schema, base, pointer = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in self._seen:
                continue
            self._seen.add(id(schema))
            name = self._identifier(schema)
            if name is not None:
                base = urldefrag(_join(base, name)).url
                if len(base) > _MOST_BASE:
                    raise refused(f"{pointer}/$id", "is too long to be referred to")
                self._resources.setdefault(base, schema)
                self._hops.setdefault(base, hops)
            for keyword in REFERENCES[self._draft]:
                uri = schema.get(keyword)
                if isinstance(uri, str):
                    self._note(schema, keyword, base, pointer, hops)
            for keys, inner in subschemas(schema):
                waiting.append((inner, base, pointer + "".join(map(pointer_token, keys))))

    def _note(
        self, schema: dict[str, object], keyword: str, base: str, pointer: str, hops: int
    ) -> None:
        uri = str(schema[keyword])
        # `urljoin` knows nothing of schemes such as `pxbox:`.
        target, fragment = (base, uri[1:]) if uri.startswith("#") else urldefrag(_join(base, uri))
        where = f"{pointer}/{keyword}"
        self._references.append(_Reference(schema, keyword, target, fragment, where, hops))

    def _follow(self, reference: _Reference) -> bool:
        """Walk what the reference leads to; False if that is not here."""
        if is_known_uri(reference.target):
            return True
        target = self._renamed.get(reference.target, reference.target)
        if target not in self._resources:
            return False
        if reference.fragment.startswith("/"):
            # It may lead to a place where only the reference says that there is a schema.
            found = _at(self._resources[target], unquote(reference.fragment))
            pointer = f"{target}#{reference.fragment}"
            self._walk(found, target, pointer, self._hops.get(target, reference.hops))
        return True

    def _identifier(self, schema: dict[str, object]) -> str | None:
        if "$id" not in schema:
            return None
        with suppress(ValueError, AttributeError, TypeError):
            name = SPECIFICATION[self._draft].create_resource(schema).id()
            if isinstance(name, str):
                return name
        return None


def _apart(schema: dict[str, object]) -> dict[str, object]:
    """The same schema with its reference in an `allOf`, where others may stand beside it.

    Source: draft 7, core, 8.3: beside a reference nothing counts, not even an `$id`.
    """
    beside = _ANNOTATIONS | {"$schema", "definitions"}
    kept = {key: one for key, one in schema.items() if key in beside}
    return {**kept, "allOf": [{"$ref": schema["$ref"]}]}


def refused(pointer: str, message: str) -> UnresolvableRef:
    """The refusal of the reference at `pointer`; `message` continues a sentence about it."""
    return UnresolvableRef(
        "a reference of the schema cannot be resolved",
        errors=[FieldError(pointer, message, "$ref")],
    )


def _join(base: str, uri: str) -> str:
    try:
        return urljoin(base, uri)
    except ValueError:
        return uri


def _at(document: object, pointer: str) -> object:
    """What stands at a JSON Pointer (RFC 6901); None if that is nothing."""
    for token in _tokens(pointer):
        if isinstance(document, dict):
            document = document.get(token)
        elif isinstance(document, list) and token.isascii() and token.isdecimal():
            document = document[int(token)] if int(token[:6]) < len(document) else None
        else:
            return None
    return document


def _tokens(pointer: str) -> Iterator[str]:
    for token in pointer.split("/")[1:]:
        yield token.replace("~1", "/").replace("~0", "~")
