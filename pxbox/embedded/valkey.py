"""The embedded Valkey: its settings, and how it is asked whether it serves."""

from __future__ import annotations

import socket
from pathlib import Path
from signal import SIGTERM
from urllib.parse import quote

from pxbox.embedded.account import Account
from pxbox.embedded.data_dir import VALKEY_SOCKET, DataDir
from pxbox.embedded.server import Program

START_SECONDS = 20.0
PROBE_SECONDS = 1.0

# Nothing is saved: losing all of Redis loses nothing (E2). Past its memory it refuses to append,
# rather than to drop what readers still want; they then read from PostgreSQL (E3).
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
    "daemonize": "no",
    "hide-user-data-from-log": "yes",
}


def program(data_dir: DataDir, sockets: Path) -> Program:
    """Describe the Valkey of a data directory, with its socket in `sockets`."""
    path = sockets / VALKEY_SOCKET
    return Program(
        name="Valkey",
        process_name="valkey-server",
        home=data_dir.valkey,
        pid_file=data_dir.pid_file("valkey"),
        log=data_dir.log("valkey"),
        socket=path,
        leftovers=(path,),
        answers=answers,
        stop_steps=((SIGTERM, 5.0),),
        start_seconds=START_SECONDS,
    )


def arguments(data_dir: DataDir, sockets: Path) -> list[str | Path]:
    """Return the command line of `valkey-server`, after the program's name."""
    settings = {
        **SETTINGS,
        "dir": str(data_dir.valkey),
        "unixsocket": str(sockets / VALKEY_SOCKET),
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def url(sockets: Path) -> str:
    """Return the URL, as redis-py takes it."""
    return f"unix://{quote(str(sockets / VALKEY_SOCKET))}?db=0"


def make_home(data_dir: DataDir, account: Account) -> None:
    """Make Valkey's working directory, if it is not there."""
    data_dir.valkey.mkdir(mode=0o700, exist_ok=True)
    account.give(data_dir.valkey)


def answers(path: Path) -> bool:
    """Say whether it answers a PING (as an inline command)."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PROBE_SECONDS)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
