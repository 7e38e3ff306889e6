"""A broker, a browser, and people who use it.

A page that reports an error of its own, or breaks its policy, fails the test that opened it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

import pxbox.web
from tests.brokers import NO_TLS, REPLY_SECONDS, Broker, Brokers
from tests.chromium import CHROMIUM

UI = Path(pxbox.web.__file__).parent / "ui"
PATIENCE_MS = 15_000
CUT_OFF = ("/draft", "net::ERR_", "WebSocket connection")
"""What a browser says of a broker that is away."""
AXE = """axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then(
  found => found.violations.map(one => one.id + ': ' + one.nodes[0].html))"""


def run_node(*command: str) -> None:
    """Run a command of the page's sources with the Node that the tests bring along."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    subprocess.run(command, cwd=UI, check=True, capture_output=True, env=environment)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What builds the page, and axe; installed by the lock where it is not there."""
    modules = UI / "node_modules"
    if not (modules / "axe-core").exists():
        run_node("npm", "ci", "--ignore-scripts")
    return modules


@pytest.fixture(scope="module")
def web_broker(module_brokers: Brokers) -> Broker:
    return module_brokers()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@dataclass(slots=True)
class Asker:
    """A program that asks, and makes people to ask."""

    broker: Broker
    rest: httpx.Client

    def person(self) -> str:
        """A new person's handle."""
        handle = f"p{uuid4().hex[:10]}"
        self._post("/v1/entities", {"kind": "user", "handle": handle})
        return handle

    def ask(self, to: str | list[str], schema: object, **more: object) -> str:
        """The id of a new request."""
        made = self._post("/v1/requests", {"to": to, "schema": schema, **more})
        return str(made["id"])

    def answer(self, request: str) -> Any:
        """The answer, waiting for it where there is none yet."""
        reply = self.rest.get(f"/v1/requests/{request}/response", headers={"prefer": "wait=10"})
        assert reply.status_code == 200, reply.text
        return reply.json()["payload"]

    def detail(self, request: str) -> Any:
        return self.rest.get(f"/v1/requests/{request}").json()

    def act_as(self, person: str, path: str, body: object) -> httpx.Response:
        """What another client of this person does."""
        token = self.broker.token(person, entity=person)
        return self.rest.post(path, json=body, headers={"authorization": f"Bearer {token}"})

    def _post(self, path: str, body: object) -> Any:
        reply = self.rest.post(path, json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def asker(web_broker: Broker) -> Iterator[Asker]:
    token = web_broker.token("asker")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(
        base_url=web_broker.url, headers=headers, timeout=REPLY_SECONDS, verify=NO_TLS
    ) as rest:
        yield Asker(web_broker, rest)


# Without slots: playwright notes on the object whose method hears events.
@dataclass
class Visit:
    """A person's browser, signed in. `expected` are errors that the test itself brings about."""

    person: str
    page: Page
    context: BrowserContext
    broker: Broker
    axe: str
    url: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ("/draft",)
    ttl: timedelta = timedelta(hours=1)
    """How long the tokens count that the person signs in with."""

    def sign_in(self) -> None:
        token = self.broker.token(self.person, entity=self.person, ttl=self.ttl)
        self.page.get_by_label("Sign-in link or token").fill(token)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def open(self, query: str = "") -> None:
        self.page.goto(f"{self.url}/{query}")

    def check_access(self) -> None:
        """Fail where the view keeps somebody out (WCAG 2.2 AA, as far as axe can tell)."""
        devtools = self.context.new_cdp_session(self.page)
        # The page's own policy lets no foreign script in; the debugger is above it.
        devtools.send("Runtime.evaluate", {"expression": self.axe})
        run = {"expression": AXE, "awaitPromise": True, "returnByValue": True}
        assert devtools.send("Runtime.evaluate", run)["result"]["value"] == []

    def heard(self, message: ConsoleMessage) -> None:
        where = f"{message.text} at {message.location['url']}"
        if message.type == "error" and not any(known in where for known in self.expected):
            self.faults.append(where)


@pytest.fixture
def visit(
    chromium: Browser, web_broker: Broker, node_modules: Path
) -> Iterator[Callable[..., Visit]]:
    """A function that has a person come to the page and sign in, by the line at `through` if that
    is given; `clock` has the test turn the page's clock."""
    axe = (node_modules / "axe-core" / "axe.min.js").read_text()
    made: list[Visit] = []

    def come(
        person: str,
        through: str | None = None,
        ttl: timedelta = timedelta(hours=1),
        clock: bool = False,
        **options: Any,
    ) -> Visit:
        context = chromium.new_context(
            locale="en-GB", **{"viewport": {"width": 1280, "height": 860}, **options}
        )
        context.set_default_timeout(PATIENCE_MS)
        url = through or web_broker.url
        one = Visit(person, context.new_page(), context, web_broker, axe, url, ttl=ttl)
        if clock:
            one.page.clock.install()
        one.page.on("console", one.heard)
        one.page.on("pageerror", lambda error: one.faults.append(str(error)))
        made.append(one)
        one.open()
        one.sign_in()
        one.page.get_by_role("heading", name="Inbox", exact=True).wait_for()
        return one

    yield come
    for one in made:
        one.context.close()
    assert [fault for one in made for fault in one.faults] == []
