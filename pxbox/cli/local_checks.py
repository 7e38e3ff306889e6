"""What `pxbox doctor` looks at on this machine."""

from __future__ import annotations

import errno
import http.client
import platform
import re
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from pxbox.auth.keyring import load_keyring
from pxbox.auth.keys import KEY_FILE, is_open_to_others, signing_secret
from pxbox.cli.check import Check, fine, problem, warning
from pxbox.settings import (
    OPTIONS,
    OperatorError,
    Settings,
    SettingsError,
    require_servable,
)

FIRST_PYTHON = (3, 11)
FULL_BYTES = 100 * 1024**2
SCARCE_BYTES = 1024**3
FEW_FILES = 4096
HEALTH_SECONDS = 2.0

_PORT_HINT = "Give an address of this machine with --host, and a port with --port."
_PORT_HINTS = {
    errno.EADDRINUSE: "Another program listens there: stop it, or give another --port.",
    errno.EACCES: "Ports below 1024 are for root: give another --port, and put a proxy in front.",
}


def settings_checks(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Whether a broker would start with these settings, and which variables look mistyped."""
    try:
        require_servable(settings)
    except SettingsError as error:
        yield problem("settings", str(error), "Set it as the message says, and run doctor again.")
    else:
        yield fine("settings", "a broker can be run with these settings")
    known = {option.env for option in OPTIONS}
    for name in sorted(set(environ) - known):
        meant = get_close_matches(name.upper(), known, n=1, cutoff=0.9)
        if meant:
            yield warning("environment", f"{name} is no setting", f"Is it to be {meant[0]}?")


def python_check() -> Check:
    found = platform.python_version()
    if sys.version_info < FIRST_PYTHON:
        return problem("python", f"Python {found} is too old", "Use Python 3.11 or later.")
    return fine("python", f"Python {found} on {platform.platform(terse=True)}")


def libraries_check() -> Check:
    """Whether the installed libraries are of the versions that this one was made for."""
    try:
        required = metadata.requires("pxbox") or []
    except metadata.PackageNotFoundError:
        return fine("libraries", "not checked: pxbox is run from its sources, not installed")
    wrong = [fault for requirement in required if (fault := unfit(requirement))]
    if wrong:
        return problem(
            "libraries", "; ".join(wrong), "Install pxbox again, into an environment of its own."
        )
    return fine("libraries", f"{len(required)} libraries, each of a version that fits")


def unfit(requirement: str) -> str | None:
    """What is wrong with the library that a requirement (PEP 508) names, if anything."""
    spec, _, marker = requirement.partition(";")
    name = re.split(r"[^A-Za-z0-9._-]", spec.strip(), maxsplit=1)[0]
    if "extra" in marker:
        return None
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    bounds = re.findall(r"(>=|<)\s*([0-9.]+)", spec)
    fits = all(
        _release(found) >= _release(bound) if sign == ">=" else _release(found) < _release(bound)
        for sign, bound in bounds
    )
    return None if fits else f"{name} is {found}, and must be {','.join(map(''.join, bounds))}"


def _release(text: str) -> list[int]:
    numbers = [int(n) for n in re.match(r"[0-9.]*", text)[0].strip(".").split(".") if n]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def data_dir_checks(data_dir: Path) -> Iterator[Check]:
    """Whether the data directory, or the place where it will be made, can be written and has
    room. Makes nothing that stays."""
    place = data_dir.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        yield problem(
            "data directory",
            f"{place} cannot be written: {error.strerror}",
            "Mend its owner and permissions, or give another one with --data-dir.",
        )
        return
    state = "can be written" if place == data_dir.absolute() else "can be made"
    yield fine("data directory", f"{data_dir.absolute()} {state}")
    yield room(place, free)


def room(place: Path, free: int) -> Check:
    text = f"{free / 1024**3:.1f} GiB free at {place}"
    hint = "Free some space: a database whose disk is full stops writing."
    if free < FULL_BYTES:
        return problem("disk", text, hint)
    return warning("disk", text, hint) if free < SCARCE_BYTES else fine("disk", text)


def secret_checks(settings: Settings) -> Iterator[Check]:
    """Whether the signing secret and the keys of an issuer can be used, and only by whom they
    should. Makes no key."""
    own = not (settings.secret or settings.secret_file or settings.database_url)
    path = settings.data_dir / KEY_FILE
    if own and not path.exists():
        yield fine("secret", f"none yet; it is made, in {path}, when it is first needed")
        return
    try:
        secret = signing_secret(settings)
        load_keyring(secret, settings.jwt_key_file, settings.jwks_file)
    except OperatorError as error:
        yield problem("secret", str(error), "Without its keys a broker does not start.")
        return
    configured = settings.secret_file
    if configured is not None and is_open_to_others(configured):
        yield warning(
            "secret",
            f"others than its owner may read {configured}",
            f"Whoever reads it can make tokens: chmod 600 {configured}.",
        )
        return
    yield fine("secret", "the secret, and the keys of other issuers, can be used")


def port_check(settings: Settings) -> Check:
    """Whether the port is free, or a broker answers there already."""
    host, port = settings.host, settings.port
    where = f"port {port} of {host}"
    try:
        _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _healthy(host, port):
            return fine("port", f"a broker answers on {where}")
        hint = _PORT_HINTS.get(error.errno or 0, _PORT_HINT)
        return problem("port", f"{where}: {error.strerror}", hint)
    return fine("port", f"{where} is free")


def _bind(host: str, port: int) -> None:
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, proto) as listener:
        # As a broker would: a port that is only waiting out its last connections is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)


def _healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def open_files_check() -> Check:
    """Whether this process may open enough files: each connection is one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"a process may open {limit} files, and each connection is one"
    if limit != resource.RLIM_INFINITY and limit < FEW_FILES:
        return warning(
            "open files", text, "Raise the limit (ulimit -n 65536) before many clients come."
        )
    return fine("open files", text)
