"""The commands against a real broker: data on standard output, words on standard error, and an exit
code that a script can act on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pxbox.auth import authenticator
from pxbox.auth.keys import data_dir_secret
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.where import DEFAULT_URL, LOCAL_SUB, URL_FILE, Where, find
from pxbox.model.principal import EVERY_WORKER, SCOPES
from pxbox.settings import Settings
from tests.brokers import SECRET, Brokers, start_broker
from tests.cli.asking import SECONDS, Shell

LUNCH = {
    "title": "Lunch",
    "type": "object",
    "required": ["dish"],
    "properties": {"dish": {"enum": ["soup", "pie"]}, "guests": {"type": "integer", "minimum": 0}},
}


def test_a_request_goes_from_asking_to_its_answer(shell: Shell, ana: str) -> None:
    her = shell.acting(ana)
    id = shell.ask(LUNCH, ana, "--deadline", "2h", "--prefill", '{"guests": 1}')
    listed = her.good("inbox").splitlines()
    assert listed[0].startswith("ID\tTITLE")
    assert [line.split("\t")[:4] for line in listed[1:]] == [[id, "Lunch", "admin", "pending"]]
    claimed = json.loads(her.good("claim", id, "--json"))
    assert claimed["status"] == "CLAIMED"
    response = json.loads(her.good("answer", id, "-F", "dish=pie", "-F", "guests=2"))
    assert response["payload"] == {"dish": "pie", "guests": 2}
    shown = shell.good("show", id)
    assert "answered" in shown
    assert json.loads(shown.partition(f"\nanswer by {ana}\n")[2]) == {"dish": "pie", "guests": 2}
    detail = json.loads(shell.good("show", id, "--json"))
    assert (detail["id"], detail["schemaPayload"]) == (id, LUNCH)
    assert detail["response"]["responseId"] == response["responseId"]
    assert her.run("inbox").stdout == ""


def test_asking_can_wait_for_the_answer(shell: Shell, ana: str) -> None:
    with shell.start("ask", "@-", "--to", ana, "--wait", input=json.dumps(LUNCH)) as asking:
        assert asking.stderr is not None
        id = asking.stderr.readline().partition("request ")[2].partition(".")[0]
        shell.acting(ana).good("answer", id, "--json", "@-", input='{"dish": "soup"}')
        output, _ = asking.communicate(timeout=SECONDS)
    assert (output, asking.returncode) == ('{"dish":"soup"}\n', 0)


def test_what_is_asked_can_be_waited_for_again_and_is_listed(shell: Shell, ana: str) -> None:
    id = shell.ask(
        LUNCH, ana, "--why", "It is *noon*.", "--context", "Soup is leek.", "--tag", "food",
        "--tag", ana, "--deadline", "2h", "--default", '{"dish": "soup"}', "--attention", "20m",
        "--escalate", f"30m={ana}", "--subject", ana,
    )  # fmt: skip
    shown = shell.good("show", id)
    for told in (
        f"to         {ana}",
        "food, " + ana,
        "It is *noon*.",
        "Soup is leek.",
        "attention",
    ):
        assert told in shown
    assert shell.ask(LUNCH, ana, "--subject", ana) == id
    listed = shell.good("requests", "--tag", ana, "--status", "pending").splitlines()
    assert [line.split("\t")[:4] for line in listed[1:]] == [[id, "Lunch", ana, "pending"]]
    with shell.start("wait", id, "--json") as waiting:
        assert waiting.stderr is not None
        assert "Waiting" in waiting.stderr.readline()
        shell.acting(ana).good("answer", id, "-F", "dish=pie")
        output, _ = waiting.communicate(timeout=SECONDS)
    assert json.loads(output)["data"] == {"dish": "pie"}
    assert shell.good("wait", id) == '{"dish":"pie"}'
    assert shell.run("requests", "--tag", ana, "--status", "expired").stdout == ""


def test_the_asker_is_told_in_json_that_there_will_be_no_answer(shell: Shell, ana: str) -> None:
    id = shell.ask(LUNCH, ana)
    shell.acting(ana).good("decline", id)
    done = shell.run("wait", id, "--json")
    assert (done.returncode, done.stdout) == (Exit.PROBLEM, "")
    assert json.loads(done.stderr)["code"] == "no_response"


def test_a_default_that_is_no_answer_is_refused_as_one(shell: Shell, ana: str) -> None:
    text = '{"type": "string"}'
    done = shell.run("ask", text, "--to", ana, "--default", "5", "--deadline", "1h")
    assert (done.returncode, done.stdout) == (Exit.INVALID, "")
    assert "/defaultAnswer: must be of type string" in done.stderr


def test_who_asked_may_be_kept_from_answering(shell: Shell, ana: str) -> None:
    id = shell.ask(LUNCH, ana, "--no-self-answer")
    assert shell.acting(ana).run("claim", id).returncode == Exit.AUTH


def test_who_holds_a_claim_is_told_by_name(shell: Shell, ana: str) -> None:
    ben = f"ben-of-{ana}"
    shell.good("entities", "create", "user", ben)
    id = shell.good("ask", json.dumps(LUNCH), "--to", ana, "--to", ben)
    shell.acting(ana).good("claim", id)
    assert f"It is {ana} who holds it" in shell.acting(ben).run("claim", id).stderr
    assert f"claimed by {ana}" in shell.acting(ben).good("inbox")
    assert f"claimed by {ana} until" in shell.good("show", id)


def test_the_other_ways_a_request_ends(shell: Shell, ana: str) -> None:
    her = shell.acting(ana)
    released = shell.ask(LUNCH, ana)
    her.good("claim", released)
    her.good("release", released)
    assert json.loads(shell.good("show", released, "--json"))["status"] == "PENDING"
    declined = json.loads(her.good("decline", released, "--reason", "away", "--json"))
    assert (declined["status"], declined["reason"]) == ("DECLINED", "away")
    cancelled = shell.ask(LUNCH, ana)
    assert shell.run("cancel", cancelled).stderr == "'Lunch' is cancelled.\n"
    late = her.run("answer", cancelled, "-F", "dish=pie")
    assert (late.returncode, late.stdout) == (Exit.CONFLICT, "")


def test_a_question_with_a_key_is_asked_once(shell: Shell, ana: str) -> None:
    assert shell.ask(LUNCH, ana, "--key", ana) == shell.ask(LUNCH, ana, "--key", ana)


@pytest.mark.parametrize(
    ("arguments", "exit", "said"),
    [
        (["show", "bogus"], Exit.NOT_FOUND, "No such request"),
        (["entities", "show", "nobody-here"], Exit.NOT_FOUND, "group:nobody-here"),
        (["ask", "{}", "--to", "nobody-here"], Exit.NOT_FOUND, "entities create"),
        (["ask", '{"type": 1}', "--to", "ana"], Exit.INVALID, "/type"),
        (["ask", "7", "--to", "ana"], Exit.INVALID, "schema"),
        (["ask", "{}", "--to", "ana", "--deadline", "soon"], Exit.WRONG_CALL, "--deadline"),
        (["ask", "{}"], Exit.WRONG_CALL, "--to"),
        (["inbox"], Exit.AUTH, "--as"),
        (["inbox", "--limit", "0"], Exit.WRONG_CALL, "--limit"),
        (["inbox", "--status", "lost"], Exit.WRONG_CALL, "lost"),
        (["inbox", "--token", "a.b.c"], Exit.AUTH, "PXBOX_TOKEN"),
        (["inbox", "--token", "a.b.c", "--as", "x"], Exit.WRONG_CALL, "--as"),
        (["inbox", "--url", "http://127.0.0.1:9"], Exit.UNREACHABLE, "pxbox serve"),
        (["watch", "entity:nobody-here"], Exit.NOT_FOUND, "No such"),
        (["watch", "requestor:admin", "--since", "-1"], Exit.WRONG_CALL, "--since"),
        (["inbox", "--as", "nobody-here"], Exit.AUTH, "entities create user nobody-here"),
        (["inbox", "--url", "broker:8080"], Exit.WRONG_CALL, "http://"),
        (["answer", "x", "-F", "a=1", "--editor"], Exit.WRONG_CALL, "--editor"),
        (["answer", "-F", "a=1"], Exit.WRONG_CALL, "pxbox inbox"),
        (["ask", "{}", "--to", "ana", "--default", "1"], Exit.WRONG_CALL, "--deadline"),
        (["ask", "{}", "--to", "some-ops"], Exit.NOT_FOUND, "group:some-ops"),
        (["ask", "{}", "--to", "ana,ben"], Exit.NOT_FOUND, "one by one"),
        (["ask", "{}", "--to", "ana", "--escalate", "30m"], Exit.WRONG_CALL, "30m=ben"),
        (["entities", "add-member", "some-ops", "ana"], Exit.NOT_FOUND, "group:some-ops"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    shell: Shell, arguments: list[str], exit: Exit, said: str
) -> None:
    done = shell.run(*arguments)
    assert (done.returncode, done.stdout) == (exit, "")
    assert said in done.stderr
    assert done.stderr.startswith("pxbox: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_a_refused_answer_names_every_place(shell: Shell, ana: str) -> None:
    id = shell.ask(LUNCH, ana)
    her = shell.acting(ana)
    told = her.run("answer", id, "--json", '{"dish": "fish", "guests": -1}')
    problem = json.loads(told.stderr)
    assert (told.returncode, problem["code"]) == (Exit.INVALID, "invalid_answer")
    assert [error["pointer"] for error in problem["errors"]] == ["/dish", "/guests"]


def test_nothing_is_asked_without_a_terminal(shell: Shell, ana: str) -> None:
    done = shell.acting(ana).run("answer", shell.ask(LUNCH, ana), input="pie\n")
    assert done.returncode == Exit.WRONG_CALL
    assert "-F" in done.stderr


def test_who_can_be_asked_is_made_and_grouped(shell: Shell, ana: str) -> None:
    group = f"group:of-{ana}"
    made = json.loads(
        shell.good("entities", "create", "group", f"of-{ana}", "--meta", '{"n": 1}', "--json")
    )
    assert made["meta"] == {"n": 1}
    shell.good("entities", "add-member", group, ana)
    id = shell.ask(LUNCH, group)
    assert id in shell.acting(ana).good("inbox")
    assert f"members  {ana}" in shell.good("entities", "show", group)
    shell.good("entities", "remove-member", group, ana)
    assert json.loads(shell.good("entities", "show", group, "--json"))["members"] == []
    taken = shell.run("entities", "create", "group", f"of-{ana}")
    assert taken.returncode == Exit.CONFLICT


def test_more_is_listed_than_one_page_holds(shell: Shell, ana: str) -> None:
    ids = [shell.ask(LUNCH, ana) for _ in range(3)]
    her = shell.acting(ana)
    her.good("claim", ids[0])
    page = json.loads(her.good("inbox", "--json", "--sort", "created"))
    assert [item["id"] for item in page["items"]] == ids[::-1]
    assert page["positions"]
    few = her.run("inbox", "--limit", "2")
    assert len(few.stdout.splitlines()) == 3
    assert "Rows 1 to 2 of 3; --page 2" in few.stderr
    rest = her.run("inbox", "--limit", "2", "--page", "2")
    assert len(rest.stdout.splitlines()) == 2
    assert "Rows 3 to 3 of 3." in rest.stderr


def test_watching_prints_a_line_of_json_for_each_event(shell: Shell, ana: str) -> None:
    id = shell.ask(LUNCH, ana)
    with shell.start("watch", f"entity:{ana}", "--since", "0") as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert (first["seq"], first["data"]["type"]) == (1, "request.created")
        shell.good("cancel", id)
        second = json.loads(watching.stdout.readline())
        assert (second["seq"], second["data"]["type"]) == (2, "request.cancelled")
        assert first["channel"] == second["channel"]
        watching.kill()


def test_a_broker_on_this_machine_is_found_without_being_named(
    module_brokers: Brokers, shell: Shell, tmp_path: Path
) -> None:
    broker = start_broker(
        tmp_path / "data",
        "--database-url", module_brokers.database_url, "--redis-url", module_brokers.redis_url,
        environ={"PXBOX_SECRET": shell.environ["PXBOX_SECRET"]},
    )  # fmt: skip
    module_brokers.started.append(broker)
    here = Shell(shell.directory, {n: v for n, v in shell.environ.items() if n != "PXBOX_URL"})
    found = here.run("entities", "show", "nobody", "--data-dir", "data")
    assert found.returncode == Exit.NOT_FOUND
    broker.kill()
    assert here.run("inbox", "--data-dir", "data").returncode == Exit.UNREACHABLE


def test_a_given_token_goes_to_no_other_machine_because_a_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / URL_FILE).write_text("http://192.0.2.1:80\n")
    data_dir_secret(tmp_path)
    assert find(Where(token="t", data_dir=str(tmp_path))) == (DEFAULT_URL, "t")
    assert find(Where(data_dir=str(tmp_path)))[0] == "http://192.0.2.1:80"
    monkeypatch.setenv("PXBOX_SECRET", SECRET)
    assert find(Where(data_dir=str(tmp_path)))[0] == DEFAULT_URL


async def test_where_the_key_is_a_token_is_made_for_whom_one_acts_as(tmp_path: Path) -> None:
    data_dir_secret(tmp_path)
    _, token = find(Where(data_dir=str(tmp_path), acting_as="ana"))
    assert callable(token)
    principal = await authenticator(Settings(data_dir=tmp_path)).verify(token())
    everything = SCOPES | {EVERY_WORKER}
    assert (principal.sub, principal.entity, principal.scopes) == (LOCAL_SUB, "ana", everything)


def test_without_a_token_or_a_key_it_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="PXBOX_TOKEN") as refused:
        find(Where(data_dir=str(tmp_path)))
    assert refused.value.exit is Exit.AUTH
    assert list(tmp_path.iterdir()) == []
