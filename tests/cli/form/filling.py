"""A person who fills in a form, in a script: what they say to each question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pxbox.cli.form.marks import Known
from pxbox.cli.form.question import (
    SKIPPED,
    File,
    Pick,
    PickMany,
    Proceed,
    Question,
    Text,
    Unreadable,
    YesNo,
)  # fmt: skip
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.walk import Walk

Said = Mapping[str, Any]


@dataclass
class Filled:
    """The answer, the places asked about in their order (`?` after one: whether to go into it),
    and the questions themselves."""

    value: Any
    asked: list[str]
    questions: list[Question]
    walk: Walk

    def question(self, place: str) -> Question:
        return self.questions[self.asked.index(place)]


def fill(schema: Any, said: Said | None = None, known: Known | None = None) -> Filled:
    """Fill in the form. `said` has by place what was typed, or the label that was picked; a list
    where the place comes several times. What it does not name is skipped, or taken as it starts."""
    return fill_again(Walk(Sheet(schema)), said, known)


def fill_again(walk: Walk, said: Said | None = None, known: Known | None = None) -> Filled:
    """The same, by a walk that may have been gone before."""
    walk.known = known or Known()
    left = {place: list(v) if isinstance(v, list) else [v] for place, v in (said or {}).items()}
    filled = Filled(None, [], [], walk)
    run = walk.run()
    try:
        question = next(run)
        while True:
            place = question.about.pointer + ("?" if isinstance(question, Proceed) else "")
            filled.asked.append(place)
            filled.questions.append(question)
            words = left.get(place)
            question = run.send(_reply(question, words.pop(0) if words else None))
    except StopIteration as end:
        filled.value = end.value
    assert not any(left.values()), f"never asked: {left}"
    return filled


def _reply(question: Question, said: Any) -> Any:
    match question:
        case Proceed():
            return question.otherwise if said is None else said
        case YesNo() if said is not None or question.start is not None:
            return question.start if said is None else said
        case Pick(start=int(start)) if said is None:
            return question.options[start].value
        case Pick() if said is not None:
            (option,) = [option for option in question.options if option.label == said]
            return option.value
        case PickMany():
            words = [question.options[n].label for n in sorted(question.start)]
            words = words if said is None else said.split()
            return question.read([o.value for o in question.options if o.label in words])
        case File() if said is not None or question.start:
            return said or question.start
        case Text() if said is not None or question.start:
            return question.read(question.start if said is None else said)
    assert not question.about.required, f"{question.about} has to be answered"
    return SKIPPED


def refusal(question: Question, typed: str) -> str:
    """What is said to a line that is not accepted."""
    assert isinstance(question, Text)
    try:
        question.read(typed)
    except Unreadable as refused:
        return str(refused)
    raise AssertionError(f"{typed!r} was accepted")
