"""An object store that speaks S3, for tests: moto's server, in a process of its own.

It checks neither signatures nor expiry; `tests.presigned` does, by the standard.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from obstore.store import S3Store

from pxbox.blobs.buckets import Bucket
from tests.brokers import NO_TLS, end, first_line

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"
_SERVE = """
import logging, threading
logging.getLogger("werkzeug").disabled = True
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
threading.Event().wait()
"""
_MAKE = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    f"<LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
)


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running store; its buckets are made by `make_bucket`."""

    url: str

    def make_bucket(self) -> str:
        """The name of a new one."""
        name = f"b-{uuid4().hex}"
        with httpx.Client(verify=NO_TLS) as client:
            client.put(f"{self.url}/{name}", content=_MAKE).raise_for_status()
        return name

    @property
    def environ(self) -> dict[str, str]:
        """What a broker's environment must say for it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }


def bucket_at(url: str, name: str, prefix: str = "some/prefix", seconds: float = 30.0) -> Bucket:
    """A bucket of the store at this address; `seconds` is how long it may take to answer."""
    store = S3Store(
        name,
        prefix=prefix,
        endpoint=url,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        region=REGION,
        client_options={"allow_http": True, "timeout": timedelta(seconds=seconds)},
        retry_config={"max_retries": 0},
    )
    return Bucket(store)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One for the whole run; tests make buckets of their own in it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVE],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    with process.stdout as said:
        host, port = first_line(said).decode().split()
    yield ObjectStore(f"http://{host}:{port}")
    end(process)


def environ_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this test, nothing in the environment says anything of object stores."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
