"""What doctor thinks of this machine: variables, keys, ports, disks, libraries."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest

from pxbox.auth.keys import KEY_FILE, data_dir_secret
from pxbox.cli.check import Check, Severity
from pxbox.cli.local_checks import (
    data_dir_checks,
    libraries_check,
    port_check,
    room,
    secret_checks,
    settings_checks,
    unfit,
)
from pxbox.settings import Settings
from tests.auth.keypairs import SECRET, private_pem, public_pem


def only(checks: Iterator[Check]) -> Check:
    (check,) = checks
    return check


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PXBOX_DATABSE_URL", "PXBOX_DATABASE_URL"),
        ("PXBOX_PORTS", "PXBOX_PORT"),
        ("pxbox_redis_url", "PXBOX_REDIS_URL"),
        ("PXBOX_DATADIR", "PXBOX_DATA_DIR"),
    ],
)
def test_a_mistyped_variable_is_a_warning(name: str, meant: str) -> None:
    variables = {name: "x", "PXBOX_TOKEN": "a client's", "PATH": "/bin", "PXBOX_HOST": "::1"}
    fine, mistyped = settings_checks(Settings(), variables)
    assert fine.severity == Severity.OK
    assert mistyped.severity == Severity.WARNING
    assert name in mistyped.detail
    assert meant in str(mistyped.hint)


def test_a_key_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    assert only(secret_checks(Settings(data_dir=tmp_path / "data"))).ok
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_key_that_others_may_reach_is_an_error(tmp_path: Path, mode: int) -> None:
    settings = Settings(data_dir=tmp_path)
    data_dir_secret(tmp_path)
    assert only(secret_checks(settings)).severity == Severity.OK
    (tmp_path / KEY_FILE).chmod(mode)
    assert only(secret_checks(settings)).severity == Severity.ERROR


@pytest.mark.parametrize(("mode", "severity"), [(0o600, "ok"), (0o644, "warning")])
def test_a_configured_secret_that_others_may_read_is_a_warning(
    tmp_path: Path, mode: int, severity: str
) -> None:
    """Mounted secrets often are world-readable inside their container: no reason not to start."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(mode)
    assert only(secret_checks(Settings(secret_file=path))).severity == severity


@pytest.mark.parametrize(
    "data",
    [private_pem("ES256"), public_pem("ES256")[:99], b""],
    ids=["private", "cut off", "empty"],
)
def test_a_key_of_an_issuer_that_cannot_be_used_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(data)
    check = only(secret_checks(Settings(secret=SECRET, jwt_key_file=path)))
    assert check.severity == Severity.ERROR
    assert str(path) in check.detail


def test_a_free_port_is_in_order() -> None:
    assert port_check(Settings(port=0)).severity == Severity.OK


def test_a_port_that_another_program_has_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        check = port_check(Settings(port=listener.getsockname()[1]))
    assert check.severity == Severity.ERROR
    assert "--port" in str(check.hint)


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_port_on_which_a_broker_answers_is_in_order() -> None:
    with HTTPServer(("127.0.0.1", 0), _Healthy) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            check = port_check(Settings(port=server.server_port))
        finally:
            server.shutdown()
            serving.join()
    assert check.severity == Severity.OK
    assert "a broker answers" in check.detail


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no such host"])
def test_an_address_of_another_machine_is_an_error(host: str) -> None:
    check = port_check(Settings(host=host, port=0))
    assert check.severity == Severity.ERROR
    assert "--host" in str(check.hint)


def test_a_data_directory_is_judged_without_being_made(tmp_path: Path) -> None:
    assert all(check.ok for check in data_dir_checks(tmp_path / "to" / "come"))
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = only(data_dir_checks(tmp_path / "file" / "data"))
    assert check.severity == Severity.ERROR
    assert "--data-dir" in str(check.hint)


@pytest.mark.parametrize(
    ("free", "severity"), [(10 * 2**30, "ok"), (2**29, "warning"), (2**20, "error")]
)
def test_a_disk_is_judged_by_what_is_free(free: int, severity: str) -> None:
    assert room(Path("/"), free).severity == severity


def test_a_library_of_a_wrong_version_is_named() -> None:
    found = metadata.version("trio")
    assert unfit("trio>=0.1") is None
    assert unfit("trio>=0.1,<9999") is None
    assert unfit("PyJWT[crypto]>=2,<9999") is None
    assert unfit('nowhere>=1; extra == "all"') is None
    assert found in str(unfit("trio>=9999"))
    assert found in str(unfit("trio<0.1"))
    assert "missing" in str(unfit("no-such-library>=1"))


def test_the_libraries_of_this_environment_fit() -> None:
    assert libraries_check().ok
