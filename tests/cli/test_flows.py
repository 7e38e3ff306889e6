"""`pxbox flows` against a real broker, with `pxbox worker` running the flows."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from uuid import uuid4

import pytest

from pxbox.cli.exits import Exit
from pxbox.client import PxBox
from tests.brokers import Broker, Brokers, end
from tests.cli.asking import SECONDS, Shell
from tests.servers import AsyncpgThread

CODE = """
from pxbox.flows import Context, flow

@flow("greeting", version=2)
async def greeting(ctx: Context, who: str) -> str:
    ctx.status("asking")
    color = await ctx.ask("color", to=who, schema={"type": "string"})
    await ctx.step("paint", lambda paint: paint.upper(), color.data)
    note = await ctx.signal("done")
    return f"{color.data}, {note.data}"

@flow("failing")
async def failing(ctx: Context) -> None:
    raise ValueError("not today")
"""


@pytest.fixture
def working(shell: Shell) -> Iterator[Shell]:
    """A worker of its own for the test, in a process of its own."""
    (shell.directory / "code_of_flows.py").write_text(CODE)
    with shell.start("worker", "code_of_flows") as process:
        try:
            assert process.stderr is not None
            assert "greeting v2" in process.stderr.readline()
            yield shell
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            end(process)


@pytest.fixture
def database(module_brokers: Brokers) -> Iterator[AsyncpgThread]:
    thread = AsyncpgThread(module_brokers.database_url)
    yield thread
    thread.close()


def test_a_worker_that_is_killed_loses_nothing(
    shell: Shell, ana: str, px: PxBox, database: AsyncpgThread
) -> None:
    """F1, F4: SIGKILL after a checkpoint; the next worker replays, and does nothing again."""
    (shell.directory / "code_of_flows.py").write_text(CODE)
    handle = px.flows.start(("greeting", 2), ana)
    with shell.start("worker", "code_of_flows") as killed:
        while not (open := json.loads(shell.acting(ana).good("inbox", "--json"))["items"]):
            assert killed.poll() is None
        killed.kill()
    shell.acting(ana).good("answer", open[0]["id"], "--json", '"blue"')
    # As after half a minute.
    database.execute("update worker_session set expires_at = now()")
    px.flows.signal(handle.id, "done", "fine")
    with shell.start("worker", "code_of_flows") as process:
        try:
            assert handle.result(str, timeout=SECONDS) == "blue, fine"
        finally:
            end(process)
    keys = [(item.key, item.what) for item in px.flows.timeline(handle.id)]
    assert keys.count(("color#1", "opened")) == 1


@pytest.fixture
def px(module_broker: Broker) -> Iterator[PxBox]:
    scopes = "request respond flow admin worker:greeting"
    with PxBox(module_broker.url, module_broker.token("admin", scopes)) as client:
        yield client


def test_a_flow_is_started_shown_and_signalled(working: Shell, ana: str, px: PxBox) -> None:
    (working.directory / "who.json").write_text(json.dumps(ana))
    id = working.good("flows", "start", "greeting@2", "--input", "@who.json")
    her = working.acting(ana)
    with px.events(f"flow:{id}", since=0) as stream:
        while px.flows.get(id).status != "WAITING_INPUT":
            next(stream)
    waiting = working.good("flows", "show", id)
    assert "waiting input" in waiting
    assert "color#1" in waiting
    assert "asking" in waiting
    tail = working.start("flows", "tail", id)
    (question,) = json.loads(her.good("inbox", "--json"))["items"]
    her.good("answer", question["id"], "--json", '"red"')
    working.good("flows", "signal", id, "--name", "done", "--data", '"thanks"')
    assert px.flows.wait(id).status == "COMPLETED"
    shown = working.good("flows", "show", id)
    for line in ("asked\tcolor#1", f"answered\tcolor#1\t{ana}", "step done\tpaint#1",
                 "signal came\tdone#1", "completed", '"red, thanks"'):  # fmt: skip
        assert line in shown
    said, _ = tail.communicate(timeout=SECONDS)
    assert [line.split("  ")[-1].strip() for line in said.splitlines()[1:3]] == [
        "color#1", f"by {ana}",
    ]  # fmt: skip
    detail = json.loads(working.good("flows", "show", id, "--json"))
    assert detail["result"] == "red, thanks"
    assert [item["key"] for item in detail["timeline"]][:2] == ["color#1", "color#1"]
    record = json.loads(working.good("flows", "record", id))
    assert [step["key"] for step in record["steps"]] == ["paint#1"]
    row = working.good("flows", "list", "--kind", "greeting").splitlines()[1].split("\t")
    assert row[:3] == [id, "greeting@2", "completed"]


def test_starting_can_wait_for_the_result(working: Shell) -> None:
    failed = working.run("flows", "start", "failing@1", "--wait")
    assert failed.returncode == Exit.PROBLEM
    assert "ValueError: not today" in failed.stderr
    (flow,) = json.loads(working.good("flows", "list", "--kind", "failing", "--json"))
    lines = working.good("flows", "show", flow["id"]).splitlines()
    assert lines.index("error") < lines.index('    raise ValueError("not today")')


def test_flows_are_steered_by_ids_and_by_what_they_have_in_common(shell: Shell) -> None:
    kind = f"outside-{uuid4().hex[:8]}"
    ids = [shell.good("flows", "start", kind, "--cursor", '{"at": 1}') for _ in range(2)]
    started = json.loads(shell.good("flows", "start", kind, "--cursor", '{"at": 1}', "--json"))
    assert (started["status"], started["cursor"]) == ("RUNNING", {"at": 1})
    ids.append(started["id"])
    shell.good("flows", "resume", ids[0], "--event", "paid", "--data", '{"sum": 3}')
    cursor = json.loads(shell.good("flows", "show", ids[0], "--json"))["cursor"]
    assert cursor["lastEvent"]["event"] == "paid"
    done = json.loads(shell.good("flows", "cancel", ids[0], "--reason", "no", "--json"))
    assert (done["status"], done["error"]) == ("CANCELLED", "no")
    done_all = shell.run("flows", "cancel", "--kind", kind)
    assert sorted(done_all.stderr.splitlines()) == sorted(f"Cancelled: {id}." for id in ids[1:])
    listed = json.loads(shell.good("flows", "list", "--kind", kind, "--json"))
    assert {flow["status"] for flow in listed} == {"CANCELLED"}
    assert len(listed) == 3
    assert "none" in shell.run("flows", "retry", "--kind", kind).stderr


def test_one_that_cannot_be_steered_holds_up_no_other(shell: Shell) -> None:
    kind = f"outside-{uuid4().hex[:8]}"
    good = shell.good("flows", "start", kind)
    done = shell.run("flows", "cancel", "01ARZ3NDEKTSV4RRFFQ69G5FAV", good)
    assert done.returncode == Exit.NOT_FOUND
    assert f"Cancelled: {good}." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit", "said"),
    [
        (["flows", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], Exit.NOT_FOUND, "No such flow"),
        (["flows", "start", "expense", "--input", "1"], Exit.WRONG_CALL, "expense@1"),
        (["flows", "start", "expense@x"], Exit.WRONG_CALL, "KIND@VERSION"),
        (["flows", "cancel"], Exit.WRONG_CALL, "--kind"),
        (["flows", "list", "--limit", "0"], Exit.WRONG_CALL, "--limit"),
        (["worker", "no_such_module"], Exit.WRONG_CALL, "cannot be imported"),
        (["worker", "flows/code.py"], Exit.WRONG_CALL, "such as flows.code"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    shell: Shell, arguments: list[str], exit: Exit, said: str
) -> None:
    done = shell.run(*arguments)
    assert (done.returncode, done.stdout) == (exit, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("token", "said"), [(None, "token is not valid"), ("flow", "worker:greeting")]
)
def test_a_worker_that_is_refused_for_good_says_so_and_ends(
    shell: Shell, module_broker: Broker, token: str | None, said: str
) -> None:
    (shell.directory / "code_of_flows.py").write_text(CODE)
    given = "garbage" if token is None else module_broker.token("hands", token)
    with Shell(shell.directory, shell.environ | {"PXBOX_TOKEN": given}).start(
        "worker", "code_of_flows"
    ) as process:
        _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == Exit.AUTH
    assert said in told
    assert "Traceback" not in told
