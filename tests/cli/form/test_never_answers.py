"""Whatever the form, an answer holds nothing that the person did not give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pxbox.cli.form.question import (
    SKIPPED,
    Pick,
    PickMany,
    Proceed,
    Question,
    Text,
    Unreadable,
    YesNo,
)
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.walk import Walk

MOST_QUESTIONS = 200

LEAVES = st.sampled_from([
    {"type": "string"}, {"type": "integer", "default": 3}, {"type": "boolean", "default": True},
    {"enum": ["x", "y"], "default": "x"}, {"const": "c"}, {"const": True},
    {"type": ["string", "null"], "default": "d"}, {}, {"$ref": "#/$defs/t"},
    {"type": "array", "items": {"enum": ["p", "q"]}, "uniqueItems": True},
])  # fmt: skip
NAMES = st.sampled_from("abcd")


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, inner, max_size=3)
    objects = st.builds(
        lambda p, r: {"type": "object", "properties": p, "required": [n for n in r if n in p]},
        properties,
        st.lists(NAMES, max_size=3, unique=True),
    )
    conditional = st.builds(
        lambda base, when, then: {**base, "if": {"required": [when]}, "then": then},
        objects,
        NAMES,
        objects,
    )
    lists = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least},
        inner,
        st.integers(0, 2),
    )
    branches = st.builds(lambda some: {"oneOf": some}, st.lists(inner, min_size=1, max_size=3))
    maps = st.builds(lambda each: {"type": "object", "additionalProperties": each}, inner)
    return objects | conditional | lists | branches | maps


SCHEMAS = st.recursive(LEAVES, _objects, max_leaves=8).map(
    lambda schema: {"$defs": {"t": {"type": "string"}}, "allOf": [schema]}
)


class Person:
    """Replies at random, skipping whatever may be skipped as often as not, and remembers."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.given: list[Any] = []
        self.questions = 0

    def reply(self, question: Question) -> Any:
        self.questions += 1
        if isinstance(question, Proceed):
            return self.questions < MOST_QUESTIONS and self._data.draw(st.booleans())
        if not question.about.required and self._data.draw(st.booleans()):
            return SKIPPED
        value = self._value(question)
        self.given.append(value)
        return value

    def _value(self, question: Question) -> Any:
        match question:
            case Pick():
                return self._data.draw(st.sampled_from(question.options)).value
            case PickMany():
                return [o.value for o in question.options if self._data.draw(st.booleans())]
            case YesNo():
                return self._data.draw(st.booleans())
            case Text():
                return self._typed(question)
        raise AssertionError(question)

    def _typed(self, question: Text) -> Any:
        # A number, another each time: names of entries must differ.
        for typed in (str(self.questions), "{}"):
            with suppress(Unreadable):
                return question.read(typed)
        # Nothing satisfies this schema.
        return reject()


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list) and value:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    elif value not in ({}, []):
        yield value


@settings(max_examples=100, deadline=None)
@given(SCHEMAS, st.data())
def test_an_answer_holds_only_what_was_given(schema: Any, data: st.DataObject) -> None:
    person = Person(data)
    run = Walk(Sheet(schema)).run()
    try:
        question = next(run)
        while True:
            question = run.send(person.reply(question))
    except StopIteration as end:
        answer = end.value
    # Who picks a branch of nothing but a type or a constant has given that.
    given = [*leaves(person.given), *_implied(schema, person.given)]
    for leaf in leaves(answer) if answer is not SKIPPED else ():
        assert any(leaf is each or leaf == each for each in given), (leaf, given)


def _implied(schema: Any, given: list[Any]) -> Iterator[Any]:
    """What follows from a branch that was picked: null, and the constants that tell it apart."""
    for value in given:
        if value == "null" or (isinstance(value, dict) and "null" in (value.get("type") or ())):
            yield None
        if isinstance(value, dict):
            for inner in (value.get("properties") or {}).values():
                if isinstance(inner, dict) and "const" in inner:
                    yield inner["const"]
