"""The client that others may use: as it is served, in Node, by the example of the docs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.web.conftest import UI, Asker, run_node

DOCS = UI.parents[2] / "docs" / "web.md"


def fetched(asker: Asker, folder: Path) -> Path:
    """The client and its types, downloaded as a user would."""
    for name in ("client.js", "client.d.ts"):
        reply = asker.rest.get(f"/{name}")
        assert reply.status_code == 200
        (folder / name).write_text(reply.text)
    return folder


def example() -> str:
    found = re.search(r"```js\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_asks_and_hears_of_the_answer(asker: Asker, tmp_path: Path) -> None:
    person = asker.person()
    script = fetched(asker, tmp_path) / "ask.mjs"
    script.write_text(example())
    environ = {
        **os.environ,
        "PXBOX_URL": asker.broker.url,
        "PXBOX_TOKEN": asker.broker.token(f"program of {person}", "request"),
        "WHOM": person,
    }
    node = shutil.which("node", path=str(Path(sys.executable).parent))
    assert node is not None
    command = [node, str(script)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "1 request.created\n"
        token = asker.broker.token(person, entity=person)
        headers = {"authorization": f"Bearer {token}"}
        found = asker.rest.get("/v1/inquiries", headers=headers).json()["items"]
        path = f"/v1/requests/{found[0]['id']}/response"
        answered = asker.rest.post(path, json={"payload": True}, headers=headers)
        assert answered.status_code in (200, 201), answered.text
        assert program.stdout.read() == "2 request.answered\ntrue\n"
        assert program.wait(timeout=30) == 0


def test_the_client_needs_nothing_and_its_types_are_complete(asker: Asker, tmp_path: Path) -> None:
    folder = fetched(asker, tmp_path)
    text = (folder / "client.js").read_text()
    assert not re.search(r"^import\b|\bfrom \"", text, re.MULTILINE)
    use = folder / "use.ts"
    use.write_text(example())
    (folder / "process.d.ts").write_text(
        "declare const process: { env: { [n: string]: string } }\n"
    )
    tsc = UI / "node_modules" / "typescript" / "bin" / "tsc"
    flags = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "esnext",
        "--types",
        "",
    ]
    files = [str(folder / name) for name in ("use.ts", "process.d.ts", "client.d.ts")]
    run_node("node", str(tsc), *flags, "--moduleResolution", "bundler", *files)
