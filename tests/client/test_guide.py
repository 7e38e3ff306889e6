"""The guide's programs, run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pxbox.client import PxBox, errors
from tests.brokers import Broker
from tests.client.people import Cast

GUIDE = Path(__file__).parents[2] / "docs" / "client.md"
PATIENCE_SECONDS = 120.0


def program(heading: str) -> str:
    """The program printed under a heading."""
    text = GUIDE.read_text()
    section = re.split(rf"\n##+ {heading}\n", text)[1]
    section = re.split(r"\n##+ ", section)[0]
    (found,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def people(module_broker: Broker) -> Cast:
    cast = Cast(module_broker)
    with PxBox(module_broker.url, module_broker.token("admin")) as px:
        px.entities.create("user", cast.alice)
    return cast


def client(people: Cast, sub: str) -> PxBox:
    return PxBox(people.broker.url, people.broker.token(sub))


def start(
    people: Cast, heading: str, sub: str, directory: Path | None = None
) -> subprocess.Popen[str]:
    """Run it as this client; ada has the name that she has in this test."""
    environ = {name: v for name, v in os.environ.items() if not name.startswith("PXBOX_")}
    environ |= {"PXBOX_URL": people.broker.url, "PXBOX_TOKEN": people.broker.token(sub)}
    code = re.sub(r'"(entity:)?(?:ada|checker)"', rf'"\g<1>{people.alice}"', program(heading))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", code], env=environ, text=True, cwd=directory,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> str:
    """What it has said, once it has ended well."""
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    return out


def test_asking_prints_where_to_send_it(people: Cast) -> None:
    with client(people, people.alice) as alice, alice.inbox(people.alice) as inbox:
        process = start(people, "Ask", people.asker)
        asked = next(inbox).item
        alice.requests.answer(asked.id, {"street": "Storgata 1", "city": "Oslo"})
        assert said(process) == "to Storgata 1, Oslo\n"
        process = start(people, "Ask", people.asker)
        assert said(process) == "to Storgata 1, Oslo\n"
        assert len(alice.inquiries(entity=people.alice).items) == 1


def test_many_are_asked_and_waited_for(people: Cast) -> None:
    with client(people, people.alice) as alice, alice.inbox(people.alice) as inbox:
        process = start(people, "Ask many, wait later", people.asker)
        answered = 0
        while answered < 3:
            change = next(inbox)
            if change.kind == "added":
                alice.requests.answer(change.item.id, True)
                answered += 1
        assert said(process).count(" True by ") == 3


def test_a_program_answers(people: Cast) -> None:
    process = start(people, "Answer", people.alice)
    assert process.stdout is not None
    assert process.stdout.readline() == "0 are waiting\n"
    with client(people, people.asker) as asker:
        handle = asker.requests.create({"type": "object", "maxProperties": 0}, to=people.alice)
        assert "added None\n: " in said(process)
        assert handle.refresh() == "DECLINED"


def test_a_bot_answers_what_waited_what_comes_and_what_it_held(people: Cast) -> None:
    draft = {"title": "Is the draft fine?", "type": "boolean"}
    with client(people, people.asker) as asker, client(people, people.alice) as alice:
        waiting, held = (asker.requests.create(draft, to=people.alice) for _ in range(2))
        alice.requests.claim(held.id)
        process = start(people, "A bot", people.alice)
        for handle in (waiting, held, asker.requests.create(draft, to=people.alice)):
            assert handle.wait(timeout=PATIENCE_SECONDS).data is True
        unfit = asker.requests.create({"type": "string"}, to=people.alice)
        with pytest.raises(errors.Declined):
            unfit.wait(timeout=PATIENCE_SECONDS)
        process.kill()
        assert process.communicate() == ("", "")


def test_a_program_watches_a_channel(people: Cast) -> None:
    process = start(people, "Watch a channel", people.alice)
    with client(people, people.asker) as asker:
        while process.poll() is None:
            asker.requests.create({"type": "string"}, to=people.alice)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
    assert " request.created {" in said(process)


def test_users_tests_run_as_printed(database_url: str, fresh_redis_url: str) -> None:
    where = f"database_url={database_url!r}, redis_url={fresh_redis_url!r}"
    code = program("In your own tests").replace("open_broker()", f"open_broker({where})")
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def test_a_file_goes_up_and_comes_down(people: Cast, tmp_path: Path) -> None:
    told = said(start(people, "Files", people.alice, tmp_path))
    assert told.splitlines()[-1] == "12 12"
    assert (tmp_path / "report-as-it-came.txt").read_text() == "All is well."
