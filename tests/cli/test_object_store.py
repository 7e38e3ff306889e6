"""An object store as an operator meets it: at the start, in `doctor`, in `collect-files`."""

from __future__ import annotations

from uuid import uuid4

import obstore
import pytest

from tests.brokers import BrokerFailed, Brokers
from tests.cli.conftest import Pxbox, refused
from tests.cli.test_collect_files import GONE
from tests.cli.test_doctor import FREE_PORT, detail, severities
from tests.inspection import open_database
from tests.object_store import ObjectStore, bucket_at

NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


def test_doctor_says_whether_the_bucket_answers_and_where_uploads_go(
    pxbox: Pxbox, object_store: ObjectStore
) -> None:
    url = f"s3://{object_store.make_bucket()}/files"
    found = pxbox("doctor", "--json", FREE_PORT, "--files-url", url, **object_store.environ)
    assert severities(found)["object store"] == "ok"
    assert detail(found, "object store") == f"{url} answers; uploads go to {object_store.url}"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [({}, "there is no such bucket (NoSuchBucket)"), (NOWHERE, "nothing answers there")],
)
def test_doctor_says_why_a_bucket_cannot_be_used(
    pxbox: Pxbox, object_store: ObjectStore, environ: dict[str, str], reason: str
) -> None:
    variables = {**object_store.environ, **environ, "PXBOX_FILES_URL": "s3://no-such-bucket"}
    found = pxbox("doctor", "--json", FREE_PORT, **variables)
    assert severities(found)["object store"] == "error"
    assert detail(found, "object store") == f"s3://no-such-bucket: {reason}"


def test_a_broker_does_not_start_without_its_bucket(
    brokers: Brokers, object_store: ObjectStore
) -> None:
    with pytest.raises(BrokerFailed) as failure:
        brokers("--files-url", "s3://no-such-bucket", environ=object_store.environ)
    said = str(failure.value)
    assert "exit code 1" in said
    assert "files cannot be kept in s3://no-such-bucket: there is no such bucket" in said
    assert "--files-url (PXBOX_FILES_URL)" in said
    assert "Traceback" not in said


def test_a_dry_run_over_a_bucket_names_what_the_next_run_deletes(
    pxbox: Pxbox, object_store: ObjectStore, database_url: str
) -> None:
    name = object_store.make_bucket()
    store = bucket_at(object_store.url, name, "files").store
    given = ("collect-files", "--database-url", database_url, "--files-url", f"s3://{name}/files")
    id = "01JZQ8A6P9Y5V4X3W2S1RQNMKF"
    young = f"kept/{id}.{uuid4().hex}"
    obstore.put(store, young, b"belongs to no file, and may be about to")
    with open_database(database_url) as database:
        database.execute(GONE)
        for flags in (("--dry-run",), ("--dry-run",), ()):
            done = pxbox(*given, *flags, **object_store.environ)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == f"{id}             7  never uploaded  boiler.jpg\n"
        assert database.fetch("select 1 from file") == []
    assert obstore.head(store, young)["path"] == young


def test_a_bucket_that_cannot_be_read_is_a_problem(
    pxbox: Pxbox, object_store: ObjectStore, database_url: str
) -> None:
    given = ("collect-files", "--database-url", database_url, "--files-url", "s3://no-such-bucket")
    assert "there is no such bucket" in refused(pxbox(*given, **object_store.environ), 1)
