"""`pxbox doctor`: check the installation and say in words what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from pxbox.cli import local_checks
from pxbox.cli.check import Check, Severity, problem
from pxbox.cli.issuer_checks import issuer_checks
from pxbox.cli.options import EVERY_FLAG, with_settings
from pxbox.cli.server_checks import database_checks, redis_checks
from pxbox.cli.servers import reached
from pxbox.cli.storage_checks import storage_checks
from pxbox.embedded import Servers
from pxbox.settings import OperatorError, Settings, without_password

_COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}


class Report(msgspec.Struct, rename="camel"):
    """What doctor found, and where the servers are that run.

    The URLs of embedded servers are whole: sockets, which the file system guards. Those that were
    configured come without their passwords (X5).
    """

    checks: list[Check]
    database_url: str | None
    redis_url: str | None


@with_settings(*EVERY_FLAG)
def doctor(
    settings: Settings,
    *,
    json: Annotated[
        bool,
        Parameter(
            help="Print JSON: the checks, and databaseUrl and redisUrl of what runs.", negative=()
        ),
    ] = False,
) -> int:
    """Check the installation and say what is wrong: settings, versions, disk, keys, issuer, port,
    database, Redis, clocks, object store. Give it the flags that the broker is given.

    Changes nothing. Exits with 1 if something must be mended; warnings leave it 0.
    """
    servers, checks = _servers(settings)
    checks += _checks(settings, servers)
    if json:
        sys.stdout.write(msgspec.json.encode(_report(checks, servers)).decode() + "\n")
    else:
        _show(checks)
    return 0 if all(check.ok for check in checks) else 1


def _servers(settings: Settings) -> tuple[Servers, list[Check]]:
    try:
        return reached(settings), []
    except OperatorError as error:
        hint = "Mend it, or give another one with --data-dir."
        servers = Servers(settings.database_url, settings.redis_url)
        return servers, [problem("servers", str(error), hint)]


def _checks(settings: Settings, servers: Servers) -> Iterator[Check]:
    yield from local_checks.settings_checks(settings, os.environ)
    yield local_checks.python_check()
    yield local_checks.libraries_check()
    yield local_checks.open_files_check()
    yield from local_checks.data_dir_checks(settings.data_dir)
    yield from local_checks.secret_checks(settings)
    yield from issuer_checks(settings)
    yield local_checks.port_check(settings)
    yield from database_checks(settings, servers.database_url)
    yield from redis_checks(servers.redis_url)
    yield from storage_checks(settings.files_url)


def _report(checks: list[Check], servers: Servers) -> Report:
    return Report(checks, _shown(servers.database_url), _shown(servers.redis_url))


def _shown(url: str | None) -> str | None:
    return None if url is None else without_password(url)


def _show(checks: list[Check]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        line = Text(f"{check.severity:<8}", style=_COLOURS[check.severity])
        console.print(line.append(f" {check.name}: {check.detail}", style="default"))
        if check.hint:
            console.print(Text(f"         {check.hint}"))
    wrong = sum(not check.ok for check in checks)
    console.print("Nothing must be mended." if not wrong else f"To mend: {wrong}.")
