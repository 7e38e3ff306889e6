"""Answering at a terminal, as a person does it: keys go in, and the screen is read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pxbox.cli.exits import Exit
from tests.brokers import PXBOX, SECRET, Broker, Brokers, listening
from tests.cli.asking import Shell
from tests.cli.terminal import CLEAR_LINE, CTRL_C, DOWN, ENTER

TRIP: dict[str, Any] = {
    "title": "Trip",
    "type": "object",
    "required": ["name", "way", "guests", "agree"],
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "As in your passport"},
        "age": {"type": "integer", "minimum": 0},
        "way": {"oneOf": [{"const": "r", "title": "By rail"}, {"const": "s", "title": "By sea"}]},
        "pin": {"type": "string", "format": "password"},
        "meal": {"type": "boolean"},
        "home": {"$ref": "#/$defs/place"},
        "pay": {
            "oneOf": [
                {"type": "object", "title": "Card", "required": ["kind", "number"],
                 "properties": {"kind": {"const": "card"}, "number": {"type": "string"}}},
                {"type": "object", "title": "Cash", "required": ["kind"],
                 "properties": {"kind": {"const": "cash"}}},
            ]
        },
        "guests": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/guest"}},
        "agree": {"const": True, "title": "I agree"},
        "note": {"type": "string"},
    },
    "if": {"properties": {"way": {"const": "s"}}},
    "then": {"required": ["cabin"], "properties": {"cabin": {"enum": ["in", "out"]}}},
    "$defs": {
        "place": {"type": "object", "required": ["city"],
                  "properties": {"city": {"type": "string"}}},
        "guest": {"type": "object", "required": ["first"],
                  "properties": {"first": {"type": "string"}, "child": {"type": "boolean"}}},
    },
}  # fmt: skip
PAIR: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "required": ["a"],
}


COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])[;m]")


def status(shell: Shell, id: str) -> str:
    return str(json.loads(shell.good("show", id, "--json"))["status"])


def payload(shell: Shell, id: str) -> Any:
    return json.loads(shell.good("show", id, "--json"))["response"]["payload"]


def test_a_hard_form_is_filled_in(shell: Shell, ana: str) -> None:
    id = shell.ask(TRIP, ana, "--deadline", "2h", "--prefill", '{"age": 30}')
    with shell.acting(ana).piped_terminal("answer", id) as seen:
        seen.see("Trip, asked by admin, until ")
        seen.see("As in your passport")
        seen.answer("? Your name", "Ana")
        # The line starts with what was prefilled.
        seen.answer("? age", CLEAR_LINE, "-3")
        seen.see("Must be at least 0.")
        seen.press(CLEAR_LINE, "31", ENTER)
        seen.answer("? way", DOWN)
        seen.answer("? pin", "hunter2")
        seen.answer("? meal", "perhaps")
        seen.see("Type y or n.")
        seen.press(CLEAR_LINE, "n", ENTER)
        seen.see("Fill in home?")
        seen.press("y")
        seen.answer("? home › city", "Oslo")
        seen.see("Fill in pay?")
        seen.press("y")
        seen.answer("Which of these?")
        seen.answer("? pay › number", "42")
        seen.answer("? guests 1 › first", "Bo")
        seen.answer("? guests 1 › child")
        seen.see("Add another to guests?")
        seen.press("y")
        seen.answer("? guests 2 › first", "Cy")
        seen.answer("? guests 2 › child", "y")
        seen.see("Add another to guests?", times=2)
        seen.press("n")
        seen.answer("? I agree")
        seen.answer("? note")
        seen.answer("? cabin", DOWN)
        review = seen.see("Send this answer?")
        seen.press(ENTER)
        code, output, screen = seen.end()
    assert (code, output) == (Exit.DONE, "")
    assert screen.endswith("Answered. Nothing else waits for you.")
    assert re.search(r"way +By sea\n +pin +\*{8}\n +meal +no\n", review)
    assert b"hunter2" not in seen.raw
    assert payload(shell, id) == {
        "name": "Ana", "age": 31, "way": "s", "pin": "hunter2", "meal": False,
        "home": {"city": "Oslo"}, "pay": {"kind": "card", "number": "42"},
        "guests": [{"first": "Bo"}, {"first": "Cy", "child": True}], "agree": True, "cabin": "out",
    }  # fmt: skip


def test_enter_alone_answers_only_what_is_required(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a")
        seen.see("Is required")
        seen.press("x", ENTER)
        seen.answer("? b")
        seen.answer("Send this answer?")
        assert seen.end()[0] == Exit.DONE
    assert payload(shell, id) == {"a": "x"}


def test_only_what_failed_is_asked_again(shell: Shell, ana: str) -> None:
    schema = {
        **PAIR,
        "allOf": [{"not": {"properties": {"b": {"const": "x"}}, "required": ["b"]}}],
        "properties": {**PAIR["properties"], "list": {
            "type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}},
    }  # fmt: skip
    id = shell.ask(schema, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a", "1")
        seen.answer("? b", "2")
        seen.see("Fill in list?")
        seen.press("y")
        seen.answer("? list 1", "7")
        seen.answer("? list 2", "7")
        seen.see("Add another to list?")
        seen.press("n")
        seen.see("list: must not have the same item twice")
        seen.answer("? list 1 (arrows)")
        seen.answer("? list 2 (arrows)", DOWN)
        seen.answer("? list 2  (a whole number)", CLEAR_LINE, "8", times=2)
        seen.see("Add another to list?", times=2)
        seen.press("n")
        screen = seen.see("Send this answer?")
        assert screen.count("? a") == screen.count("? b") == 1
        seen.press(ENTER)
        assert seen.end()[0] == Exit.DONE
    assert payload(shell, id) == {"a": "1", "b": "2", "list": [7, 8]}


def test_one_part_can_be_changed_before_sending(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a", "1")
        seen.answer("? b", "2")
        seen.answer("Send this answer?", DOWN)
        seen.answer("Which?", DOWN)
        seen.answer("? b  (enter skips)", CLEAR_LINE, "3", times=2)
        seen.answer("Send this answer?", times=2)
        assert seen.end()[0] == Exit.DONE
    assert payload(shell, id) == {"a": "1", "b": "3"}


def test_ctrl_c_sends_nothing_and_gives_the_claim_back(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.see("? a")
        assert status(shell, id) == "CLAIMED"
        seen.press("half", CTRL_C)
        code, _, screen = seen.end()
    assert code == Exit.INTERRUPTED
    assert screen.endswith("Nothing was sent.")
    assert status(shell, id) == "PENDING"


def test_who_stops_half_way_goes_on_with_what_was_typed(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a", "first")
        seen.see("? b")
        seen.press(CTRL_C)
        code, _, screen = seen.end()
    assert code == Exit.INTERRUPTED
    assert screen.endswith("Nothing was sent. What you have typed is kept as a draft.")
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("There is a draft of yours")
        seen.answer("? a")
        seen.answer("? b", "second")
        seen.answer("Send this answer?")
        assert seen.end()[0] == Exit.DONE
    assert payload(shell, id) == {"a": "first", "b": "second"}


def test_a_claim_that_was_there_before_is_kept(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    shell.acting(ana).good("claim", id)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.see("? a")
        seen.press(CTRL_C)
        seen.end()
    assert status(shell, id) == "CLAIMED"


def test_an_answer_that_comes_too_late_says_so(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana)
    with shell.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a", "1")
        seen.answer("? b")
        seen.see("Send this answer?")
        shell.good("cancel", id)
        seen.press(ENTER)
        code, _, screen = seen.end()
    assert code == Exit.CONFLICT
    assert "pxbox: " in screen
    assert "Traceback" not in screen


def _editor(directory: Path, *answers: str) -> str:
    """An editor that writes one answer after the other, and keeps what it was given."""
    (directory / "answers.json").write_text(json.dumps(answers))
    script = directory / "editor.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "answers = json.loads((here / 'answers.json').read_text())\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with (here / 'given.txt').open('a') as given: given.write(path.read_text())\n"
        "path.write_text('// mine\\n' + answers.pop(0))\n"
        "(here / 'answers.json').write_text(json.dumps(answers))\n"
    )
    return f"{sys.executable} {script}"


def test_a_deep_answer_is_written_in_an_editor(shell: Shell, ana: str) -> None:
    id = shell.ask(PAIR, ana, "--prefill", '{"a": "given"}')
    editor = _editor(shell.directory, "{", '{"a": 1}', '{"a": "one"}')
    with shell.acting(ana).terminal("answer", id, "--editor", EDITOR=editor, VISUAL="") as seen:
        seen.see("That is not JSON")
        seen.see("a: must be of type string")
        seen.answer("What now?")
        seen.answer("Send this answer?")
        assert seen.end()[0] == Exit.DONE
    assert payload(shell, id) == {"a": "one"}
    given = (shell.directory / "given.txt").read_text()
    assert '"a": "given"' in given
    assert "a: text, required" in given
    assert "! /a must be of type string" in given


def test_colours_can_be_turned_off(shell: Shell, ana: str) -> None:
    shell.ask({**PAIR, "title": "\x1b[31mRed"}, ana)

    with shell.acting(ana).terminal("inbox", NO_COLOR="1") as seen:
        assert seen.end()[0] == Exit.DONE
    assert "[31mRed" in seen.screen.text
    assert COLOUR.search(seen.raw) is None
    id = shell.ask(PAIR, ana)
    for variables, coloured in (({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        with shell.acting(ana).terminal("answer", id, **variables) as seen:
            seen.see("? a")
            assert (COLOUR.search(seen.raw) is not None) is coloured


def test_without_an_id_what_is_due_first_is_answered_and_its_reason_shown(
    shell: Shell, ana: str
) -> None:
    question = {"title": "Go?", "type": "boolean"}
    later = shell.ask(question, ana, "--deadline", "3h")
    shell.ask(question, ana)
    first = shell.ask(
        question, ana, "--deadline", "2h", "--why", "It is **late**.",
        "--context=- one\x1b[2J\n- two [here](https://example.org/x)",
    )  # fmt: skip
    shell.acting(ana).good("snooze", later, "--until", "1h")
    with shell.acting(ana).terminal("answer") as seen:
        begun = seen.see("(y/n)")
        seen.press("y", ENTER)
        seen.answer("Send this answer?")
        code, _, screen = seen.end()
    assert code == Exit.DONE
    assert payload(shell, first) is True
    assert "It is late." in begun
    assert "https://example.org/x" in begun
    assert b"\x1b[2J" not in seen.raw
    assert "Answered. 1 more for you; `pxbox answer` goes on" in screen


def test_with_nothing_to_answer_it_says_so(shell: Shell, ana: str) -> None:
    with shell.acting(ana).terminal("answer") as seen:
        code, _, screen = seen.end()
    assert code == Exit.NOT_FOUND
    assert "Nothing waits for your answer" in screen


def test_asking_shows_that_it_waits_and_can_be_left(shell: Shell, ana: str) -> None:
    with shell.terminal("ask", json.dumps(PAIR), "--to", ana, "--wait") as seen:
        screen = seen.see("Waiting for the answer")
        seen.press(CTRL_C)
        code, _, screen = seen.end()
    assert code == Exit.INTERRUPTED
    id = re.findall(r"pxbox wait (\w+)", screen)[0]
    assert status(shell, id) == "PENDING"


def _start_again(brokers: Brokers, dead: Broker) -> None:
    """Have a new broker listen where the dead one did."""
    command = [
        *PXBOX, "serve", "--port", dead.url.rpartition(":")[2],
        "--data-dir", str(brokers.data_dir),
        "--database-url", brokers.database_url, "--redis-url", brokers.redis_url,
    ]  # fmt: skip
    with dead.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=os.environ | {"PXBOX_SECRET": SECRET}
        )
    assert process.stdout is not None
    with process.stdout as said:
        brokers.started.append(listening(process, said, dead.log))


def test_an_answer_that_does_not_get_through_can_be_sent_again(
    brokers: Brokers, shell: Shell, ana: str
) -> None:
    """The claim, and what was typed, outlive a broker that is away for a while."""
    broker = brokers()
    here = Shell(shell.directory, shell.environ | {"PXBOX_URL": broker.url})
    here.good("entities", "create", "user", ana)
    id = here.ask(PAIR, ana)
    with here.acting(ana).terminal("answer", id) as seen:
        seen.answer("? a", "1")
        seen.answer("? b")
        seen.see("Send this answer?")
        broker.kill()
        seen.press(ENTER)
        seen.see("No broker answers")
        _start_again(brokers, broker)
        seen.answer("Send this answer?", times=2)
        assert seen.end()[0] == Exit.DONE
    assert payload(here, id) == {"a": "1"}
