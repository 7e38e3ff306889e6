"""Schemas and values at random, from a vocabulary on which validators have no room to differ.

What they do differ in is in `differences.py`, and left out here: decimal fractions and huge numbers
with `multipleOf`, patterns beyond ASCII, formats, `unevaluated...` in draft 2019-09.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from pxbox.domain.dialect import Draft

NAMES = st.sampled_from(["a", "b", "ab", "é", ""])
TEXTS = st.sampled_from(["", "a", "b", "ab", "aab", "é", "🙂", "b1", " "])
NUMBERS = st.one_of(
    st.integers(-4, 6),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.5, -1.5, 2**53, 2**53 + 1, float(2**53), 1e16]),
)
PATTERNS = st.sampled_from(["a", "^a", "b$", "^[ab]+$", "^a{2}", "a|b", "[0-9]", "^$", "^a?b?$"])
TYPES = st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer"])
SIZES = st.integers(0, 3)
_DEFINED = ("d0", "d1", "d2")


@cache
def values() -> st.SearchStrategy[Any]:
    scalars = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=8,
    )


@cache
def schemas(draft: Draft) -> st.SearchStrategy[dict[str, Any]]:
    """Whole documents: a schema, and definitions that any part of it may refer to."""
    holder = "definitions" if draft is Draft.D7 else "$defs"
    schema = _schema(draft, holder)
    definitions = st.fixed_dictionaries(dict.fromkeys(_DEFINED, schema))
    return st.builds(
        lambda body, held: {**body, holder: held},
        schema.filter(lambda each: isinstance(each, dict)),
        definitions,
    )


def _schema(draft: Draft, holder: str) -> st.SearchStrategy[Any]:
    references = st.sampled_from([{"$ref": f"#/{holder}/{name}"} for name in _DEFINED])
    leaves = st.one_of(st.booleans(), _assertions(draft), references)
    return st.recursive(leaves, lambda inner: _applied(inner, draft), max_leaves=6)


def _assertions(draft: Draft) -> st.SearchStrategy[dict[str, Any]]:
    names = st.lists(NAMES, max_size=3, unique=True)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "const": values(),
        "enum": st.lists(values(), min_size=1, max_size=3),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "exclusiveMaximum": NUMBERS,
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 0.25, 2.0]),
        "minLength": SIZES,
        "maxLength": SIZES,
        "pattern": PATTERNS,
        "minItems": SIZES,
        "maxItems": SIZES,
        "uniqueItems": st.booleans(),
        "minProperties": SIZES,
        "maxProperties": SIZES,
        "required": names,
    }
    if draft is not Draft.D7:
        keywords["dependentRequired"] = st.dictionaries(NAMES, names, max_size=2)
    return _some(keywords)


def _applied(inner: st.SearchStrategy[Any], draft: Draft) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    members = st.dictionaries(NAMES, inner, max_size=3)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "allOf": lists,
        "anyOf": lists,
        "oneOf": lists,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "properties": members,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "items": inner,
        "contains": inner,
    }
    if draft is Draft.D7:
        names = st.lists(NAMES, max_size=3, unique=True)
        keywords["dependencies"] = st.dictionaries(NAMES, inner | names, max_size=2)
    else:
        keywords["dependentSchemas"] = members
        keywords["minContains"] = SIZES
        keywords["maxContains"] = SIZES
    if draft is Draft.D2020_12:
        keywords["unevaluatedProperties"] = inner
        keywords["unevaluatedItems"] = inner
        keywords["prefixItems"] = lists
    else:
        keywords["items"] = inner.filter(lambda each: isinstance(each, dict)) | lists
        keywords["additionalItems"] = inner
    return st.builds(_together, _some(keywords), _assertions(draft))


def _together(applied: dict[str, Any], asserted: dict[str, Any]) -> dict[str, Any]:
    schema = {**applied, **asserted}
    if not isinstance(schema.get("items"), list):
        schema.pop("additionalItems", None)
    return schema


def _some(keywords: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with up to four of these members."""
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({n: keywords[n] for n in names}))
