"""Questions on a terminal, drawn on standard error so that standard output stays for data.

They run outside any event loop: prompt_toolkit brings one of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import questionary
from prompt_toolkit.output import Output
from prompt_toolkit.output.defaults import create_output

from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.form.question import (
    SKIPPED,
    About,
    File,
    Option,
    Pick,
    PickMany,
    Proceed,
    Question,
    Text,
    Unreadable,
    YesNo,
)  # fmt: skip
from pxbox.cli.form.walk import Asking
from pxbox.cli.terminal import clean, note

_MANY = 12
_WORDS = {True: "y", False: "n"}
_YES, _NO = {"y", "yes"}, {"n", "no"}


class Form:
    """Asks question after question. `asked` counts them. Ctrl-C raises KeyboardInterrupt.

    `upload(path)` gives the id of a file, or raises CommandFailed.
    """

    def __init__(self, upload: Callable[[str], str]) -> None:
        self.asked = 0
        self._upload = upload
        self._output: Output = create_output(stdout=sys.stderr)
        self._helped: set[tuple[str, ...]] = set()

    def fill(self, asking: Asking) -> Any:
        """Drive the walk to its end, and return the value that it has come to."""
        try:
            question = next(asking)
            while True:
                self.asked += 1
                question = asking.send(self.ask(question))
        except StopIteration as end:
            return end.value

    def ask(self, question: Question) -> Any:
        self._help(question.about)
        match question:
            case Text():
                return self._text(question)
            case File():
                return self._file(question)
            case Pick():
                return self._pick(question)
            case PickMany():
                return self._pick_many(question)
            case YesNo():
                return self._yes_no(question)
            case Proceed():
                return self._proceed(question)

    def choose(self, message: str, options: Sequence[str]) -> str:
        """One of the options, which are no part of any answer."""
        return str(self._run(questionary.select(message, list(options), output=self._output)))

    def _help(self, about: About) -> None:
        if about.help and about.trail not in self._helped:
            self._helped.add(about.trail)
            note(f"  {clean(about.help)}")

    def _text(self, question: Text) -> Any:
        def verdict(typed: str) -> bool | str:
            return _refusal(question, typed) or True

        ask = questionary.password if question.secret else questionary.text
        typed = self._run(
            ask(
                _title(question.about),
                default=question.start,
                validate=verdict,
                instruction=_instruction(question.about, clean(question.hint)),
                validate_while_typing=False,
                output=self._output,
            )
        )
        return SKIPPED if not typed and not question.about.required else question.read(typed)

    def _file(self, question: File) -> Any:
        """Ask for a path until what lies there was uploaded."""

        def verdict(typed: str) -> bool | str:
            left_out = not typed and not question.about.required
            return left_out or typed == question.start or _file_refusal(typed) or True

        while True:
            typed = self._run(
                questionary.path(
                    _title(question.about),
                    default=question.start,
                    validate=verdict,
                    validate_while_typing=False,
                    qmark="?",
                    output=self._output,
                )
            )
            if not typed or typed == question.start:
                return typed or SKIPPED
            try:
                return self._upload(str(Path(typed).expanduser()))
            except CommandFailed as failed:
                if failed.exit not in (Exit.INVALID, Exit.WRONG_CALL, Exit.UNREACHABLE):
                    raise
                note(str(failed))

    def _pick(self, question: Pick) -> Any:
        choices = [_choice(option, n) for n, option in enumerate(question.options)]
        if not question.about.required:
            choices.insert(0, questionary.Choice("(skip)", value=SKIPPED))
        many = len(choices) > _MANY
        found = self._run(
            questionary.select(
                _title(question.about),
                choices,
                default=next((c for c in choices if c.value == question.start), None),
                instruction="(arrows, or type to filter)" if many else "(arrows)",
                use_search_filter=many,
                use_jk_keys=not many,
                output=self._output,
            )
        )
        return SKIPPED if found is SKIPPED else question.options[found].value

    def _pick_many(self, question: PickMany) -> Any:
        def values(indices: Any) -> list[Any]:
            return [question.options[n].value for n in sorted(indices)]

        def verdict(indices: Any) -> bool | str:
            try:
                question.read(values(indices))
            except Unreadable as refused:
                return _sentence(refused)
            return True

        choices = [
            _choice(option, n, n in question.start) for n, option in enumerate(question.options)
        ]
        found = self._run(
            questionary.checkbox(
                _title(question.about),
                choices,
                validate=verdict,
                instruction="(space marks, enter goes on)",
                output=self._output,
            )
        )
        return question.read(values(found))

    def _yes_no(self, question: YesNo) -> Any:
        def verdict(typed: str) -> bool | str:
            word = typed.strip().lower()
            left_out = not word and not question.about.required
            return True if left_out or word in _YES | _NO else "Type y or n."

        typed = self._run(
            questionary.text(
                _title(question.about),
                default="" if question.start is None else _WORDS[question.start],
                validate=verdict,
                instruction=_instruction(question.about, "y/n"),
                validate_while_typing=False,
                output=self._output,
            )
        )
        word = typed.strip().lower()
        return word in _YES if word else SKIPPED

    def _proceed(self, question: Proceed) -> bool:
        title = _title(question.about) if question.about.trail else "the answer"
        return bool(
            self._run(
                questionary.confirm(
                    f"{question.text} {title}?",
                    default=question.otherwise,
                    output=self._output,
                )
            )
        )

    def _run(self, prompt: questionary.Question) -> Any:
        sys.stdout.flush()
        return prompt.unsafe_ask()


def _refusal(question: Text, typed: str) -> str:
    """Why this line is not accepted; nothing if it is."""
    if not typed and not question.about.required:
        return ""
    try:
        question.read(typed)
    except Unreadable as refused:
        return _sentence(refused)
    return ""


def _file_refusal(typed: str) -> str:
    """Why this is no path of a file; nothing if it is."""
    if not typed:
        return "Is required: the path of a file."
    return "" if Path(typed).expanduser().is_file() else "There is no such file."


def _sentence(refused: Unreadable) -> str:
    text = clean(str(refused))
    return f"{text[:1].upper()}{text[1:]}."


def _title(about: About) -> str:
    return " › ".join(map(clean, about.trail)) or "Answer"


def _instruction(about: About, hint: str) -> str | None:
    parts = [part for part in (hint, "" if about.required else "enter skips") if part]
    return f"({'; '.join(parts)})" if parts else None


def _choice(option: Option, value: int, checked: bool = False) -> questionary.Choice:
    return questionary.Choice(clean(option.label) or '""', value=value, checked=checked)
