"""Files by command: up and down, into answers by hand and by program."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pxbox.cli.exits import Exit
from tests.cli.asking import Shell
from tests.cli.terminal import ENTER

PHOTO: dict[str, Any] = {
    "title": "Show it",
    "type": "object",
    "required": ["photo"],
    "properties": {
        "photo": {"type": "string", "format": "pxbox-file", "title": "A photo"},
        "more": {"type": "array", "items": {"type": "string", "format": "pxbox-file"}},
        "note": {"type": "string"},
    },
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


def files(shell: Shell, id: str) -> list[dict[str, Any]]:
    """What the answer says of its files."""
    return list(json.loads(shell.good("show", id, "--json"))["response"]["files"])


def test_a_file_is_uploaded_answered_with_and_downloaded(shell: Shell, ana: str) -> None:
    id = shell.ask(PHOTO, ana)
    mine = shell.acting(ana)
    (shell.directory / "cat.png").write_bytes(PNG)
    file = mine.good("files", "upload", id, "cat.png")
    view = json.loads(mine.good("files", "upload", id, "cat.png", "--json", "--name", "dog.png"))
    assert (view["name"], view["mime"], view["size"]) == ("dog.png", "image/png", len(PNG))
    assert shell.run("files", "download", file).returncode == Exit.NOT_FOUND, "not answered yet"
    mine.good("answer", id, "-F", f"photo={file}", "-F", f"more[]={view['id']}")
    there = shell.run("files", "download", file)
    assert (there.returncode, there.stdout) == (Exit.CONFLICT, "")
    assert "cat.png is there already" in there.stderr
    assert shell.good("files", "download", view["id"]) == "dog.png"
    assert (shell.directory / "dog.png").read_bytes() == PNG
    told = json.loads(shell.good("files", "download", file, "-o", "new.png", "--json"))
    assert told["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert (shell.directory / "new.png").read_bytes() == PNG


def test_a_program_has_files_uploaded_where_the_schema_asks_for_them(
    shell: Shell, ana: str
) -> None:
    id = shell.ask(PHOTO, ana)
    (shell.directory / "cat.png").write_bytes(PNG)
    (shell.directory / "note").write_text("soft\n")
    given = ("-F", "photo=@cat.png", "-F", "more[]=@cat.png", "-F", "note=@note")
    response = json.loads(shell.acting(ana).good("answer", id, *given))
    assert [file["name"] for file in response["files"]] == ["cat.png", "cat.png"]
    payload = response["payload"]
    assert {payload["photo"], *payload["more"]} == {file["id"] for file in response["files"]}
    assert payload["note"] == "soft"


def test_what_cannot_go_up_is_said(shell: Shell, ana: str) -> None:
    id = shell.ask(PHOTO, ana)
    mine = shell.acting(ana)
    (shell.directory / "lie.png").write_bytes(b"<html>")
    for arguments, exit, said in (
        (("files", "upload", id, "nothing.png"), Exit.WRONG_CALL, "Cannot read nothing.png"),
        (("files", "upload", id, "."), Exit.WRONG_CALL, "Cannot read ."),
        (("files", "upload", id, "lie.png"), Exit.INVALID, "/contentType"),
        (("answer", id, "-F", "photo=@lie.png"), Exit.INVALID, "/contentType"),
        (("files", "upload", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "lie.png"), Exit.NOT_FOUND, "request"),
        (("files", "download", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), Exit.NOT_FOUND, "file"),
    ):
        done = mine.run(*arguments)
        assert (done.returncode, done.stdout) == (exit, ""), done.stderr
        assert said in done.stderr
    assert shell.run("files", "upload", id, "lie.png").returncode == Exit.AUTH


def test_a_person_is_asked_for_a_path_and_sees_how_far_it_is(shell: Shell, ana: str) -> None:
    id = shell.ask(PHOTO, ana)
    (shell.directory / "cat.png").write_bytes(PNG)
    (shell.directory / "lie.png").write_bytes(b"<html>")
    with shell.acting(ana).piped_terminal("answer", id) as seen:
        seen.answer("? A photo", "nothing.png")
        seen.see("There is no such file.")
        seen.press("\x15", "lie.png", ENTER)
        seen.see("the file is text/html")
        seen.answer("? A photo", "cat.png")
        seen.see("508/508 bytes")
        seen.see("more?")
        seen.press("n")
        seen.answer("? note")
        seen.see("Send this answer?")
        seen.press(ENTER)
        code, _, screen = seen.end()
    assert code == Exit.DONE
    assert screen.endswith("Answered. Nothing else waits for you.")
    assert [file["name"] for file in files(shell, id)] == ["cat.png"]
