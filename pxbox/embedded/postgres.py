"""The embedded PostgreSQL: its cluster, its settings, and how it is asked whether it serves."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGQUIT
from urllib.parse import quote

import trio

from pxbox.embedded.account import Account
from pxbox.embedded.data_dir import POSTGRES_SOCKET, DataDir
from pxbox.embedded.errors import TAIL_LINES, ServerFailed
from pxbox.embedded.server import Program

DATABASE = "pxbox"
USER = "pxbox"
PORT = POSTGRES_SOCKET.rpartition(".")[2]

# Long: after a crash of the machine it first has to go through its write-ahead log.
START_SECONDS = 300.0
INITDB_SECONDS = 120.0
PROBE_SECONDS = 1.0

# Written into the cluster when it is made, so that ALTER SYSTEM can change them later.
SIZES = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    # Compiling costs more than the short statements of a broker take.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Given on every start, because S1 and X5 stand on them.
FIXED = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # A failed statement is reported to the client who sent it; here its values would be logged.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "logging_collector": "off",
}


def program(data_dir: DataDir, sockets: Path) -> Program:
    """Describe the PostgreSQL of a data directory, with its socket in `sockets`."""
    path = sockets / POSTGRES_SOCKET
    return Program(
        name="PostgreSQL",
        process_name="postgres",
        home=data_dir.cluster,
        pid_file=data_dir.pid_file("postgres"),
        log=data_dir.log("postgres"),
        socket=path,
        leftovers=(
            data_dir.cluster / "postmaster.pid",
            path,
            path.with_name(f"{path.name}.lock"),
        ),
        answers=answers,
        # Fast shutdown; then the immediate one, which leaves the rest to the next start.
        stop_steps=((SIGINT, 20.0), (SIGQUIT, 5.0)),
        start_seconds=START_SECONDS,
    )


def arguments(data_dir: DataDir, sockets: Path) -> list[str | Path]:
    """Return the command line of `postgres`, after the program's name."""
    settings = {**FIXED, "unix_socket_directories": str(sockets)}
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return ["-D", data_dir.cluster, *given]


def url(sockets: Path) -> str:
    """Return the URL of the database, as both libpq and asyncpg take it."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"


async def make_cluster(data_dir: DataDir, account: Account, programs: Path) -> None:
    """Make the cluster with its database, if it is not there. Raises ServerFailed.

    It gets its name only when it is complete: an interrupted one is made again. Whoever can
    reach the socket is trusted; its directory lets in this user alone.
    """
    if data_dir.cluster.exists():
        await trio.to_thread.run_sync(account.give, data_dir.cluster)
        return
    prefix = f"{data_dir.cluster.name}.new-"
    for unfinished in data_dir.root.glob(f"{prefix}*"):
        # Where a killed broker's initdb is still writing, the next start gets the rest.
        await trio.to_thread.run_sync(partial(shutil.rmtree, unfinished, ignore_errors=True))
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=data_dir.root))
    account.give(new)
    await _run(account, _initdb(programs, new))
    await _run(account, _single(programs, new), f"create database {DATABASE}\n")
    new.rename(data_dir.cluster)


def _initdb(programs: Path, cluster: Path) -> list[str | Path]:
    sizes = [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
    return [
        programs / "initdb",
        "-D",
        cluster,
        f"--username={USER}",
        "--auth-local=trust",
        "--auth-host=reject",
        "--encoding=UTF8",
        # Sorting by code point, the same on every system and after every upgrade of its libc.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *sizes,
    ]


def _single(programs: Path, cluster: Path) -> list[str | Path]:
    return [programs / "postgres", "--single", "-D", cluster, "-c", "exit_on_error=on", "postgres"]


async def _run(account: Account, command: Sequence[str | Path], stdin: str = "") -> None:
    name = Path(command[0]).name
    try:
        done = await account.run(command, INITDB_SECONDS, stdin)
    except trio.TooSlowError:
        raise ServerFailed(
            f"Making the database took {name} more than {INITDB_SECONDS:g} s."
        ) from None
    except OSError as error:
        raise ServerFailed(f"{command[0]} could not be started: {error}.") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()
        raise ServerFailed(
            f"The database could not be made: {name} failed with status {done.returncode}.",
            log_tail="\n".join(said.splitlines()[-TAIL_LINES:]),
        )


def answers(path: Path) -> bool:
    """Say whether a session can be opened on the database, by opening one.

    Source: PostgreSQL, "Message Flow" and "Message Formats" of the frontend/backend protocol 3.0.
    """
    parameters = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    startup = struct.pack("!ii", 8 + len(parameters), 3 << 16) + parameters
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PROBE_SECONDS)
            connection.connect(str(path))
            connection.sendall(startup)
            with connection.makefile("rb") as stream:
                ready = _ready(stream.read)
            connection.sendall(struct.pack("!ci", b"X", 4))
    except OSError:
        return False
    return ready


def _ready(read: Callable[[int], bytes]) -> bool:
    """Read what follows a startup message, up to ReadyForQuery or an error.

    An error counts as an answer, unless it says that the server is starting or stopping.
    """
    while len(head := read(5)) == 5:
        kind, length = struct.unpack("!ci", head)
        body = read(length - 4)
        if kind == b"E":
            return b"C57P03\0" not in body
        if kind == b"Z":
            return True
    return False
