"""What a new broker tells whoever started it: where it listens, a link to its page, and a first
request to try."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from pxbox.auth import audience
from pxbox.auth.links import link_key, link_url, make_link
from pxbox.auth.tokens import Grant, mint
from pxbox.cli.where import LOCAL_SUB, URL_FILE
from pxbox.model.principal import ADMIN, FLOW, REQUEST, RESPOND, SCOPES
from pxbox.settings import Settings

FILE_NAME = "first-request.txt"
_TTL = timedelta(hours=12)
_LINK_TTL = timedelta(hours=1)


def greet(settings: Settings, port: int, secret: str) -> None:
    """Print a link, a token and a ready-made curl on a terminal; else write them to a file that
    only its owner reads, and name it: tokens reach no log (X5). Where it listens is written down
    for the commands that are run on this machine."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_private(settings.data_dir / URL_FILE, f"{_called_from_here(url)}\n")
    text = _first_request(url, settings, secret)
    if sys.stdout.isatty():
        print(text)
        return
    path = settings.data_dir / FILE_NAME
    _write_private(path, text)
    print(f"PxBox listens on {url}; a token and a first request are in {path}")
    sys.stdout.flush()


def _first_request(url: str, settings: Settings, secret: str) -> str:
    grant = Grant(LOCAL_SUB, SCOPES)
    token = mint(secret, grant, _TTL, audience(settings))
    people = Grant(LOCAL_SUB, frozenset((REQUEST, RESPOND, FLOW, ADMIN)))
    link = link_url(_called_from_here(url), make_link(link_key(secret), people, _LINK_TTL))
    return f"""\
PxBox listens on {url}; its documentation is at {url}/docs

Its page, by a link that signs one browser in, once, within an hour:

{link}

A token for everything, valid for 12 hours:

export PXBOX_TOKEN={token}

A first request, which makes somebody who can be asked:

curl -sS {url}/v1/entities -H "Authorization: Bearer $PXBOX_TOKEN" \\
  -H 'Content-Type: application/json' -d '{{"kind": "user", "handle": "ana"}}'
"""


def _called_from_here(url: str) -> str:
    """Who listens on every address is called on the loopback one."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
