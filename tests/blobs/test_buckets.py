"""Buckets by their URLs: what is found in the environment, and what is said of what is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pxbox.blobs.buckets import BucketUnusable, check_bucket, open_bucket, why_unusable
from tests.object_store import ObjectStore, environ_without_credentials

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the credentials of whoever runs the tests."""
    environ_without_credentials(monkeypatch)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def put_url(url: str) -> str:
    return str(obstore.sign(open_bucket(url).store, "PUT", "incoming/x", timedelta(minutes=1)))


def test_a_bucket_that_answers_says_where_uploads_go(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **object_store.environ)
    bucket = open_bucket(f"s3://{object_store.make_bucket()}/pre/fix")
    assert check_bucket(bucket) == object_store.url
    assert bucket.put_headers == {}


def test_a_bucket_that_is_none_is_said_to_be_none(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **object_store.environ)
    with pytest.raises(BucketUnusable, match=r"there is no such bucket \(NoSuchBucket\)"):
        check_bucket(open_bucket("s3://none-of-this-name"))


def test_where_nothing_answers_that_is_said(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **object_store.environ, AWS_MAX_RETRIES="0")
    given(monkeypatch, AWS_ENDPOINT_URL=NOWHERE)
    with pytest.raises(BucketUnusable, match="nothing answers there"):
        check_bucket(open_bucket("s3://bucket"))


def test_azure_is_told_which_kind_of_blob_an_upload_makes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BucketUnusable, match="Account must be specified"):
        open_bucket("az://container")
    given(monkeypatch, AZURE_STORAGE_ACCOUNT_NAME="acct", AZURE_STORAGE_ACCOUNT_KEY="a2V5")
    bucket = open_bucket("az://container/pre")
    assert bucket.put_headers == {"x-ms-blob-type": "BlockBlob"}
    assert "acct" not in repr(bucket)
    url = urlsplit(put_url("az://container/pre"))
    assert url.hostname == "acct.blob.core.windows.net"
    assert url.path == "/container/pre/incoming/x"
    assert parse_qs(url.query)["sp"] == ["w"], "may write, and nothing else"


def test_google_is_signed_for_with_a_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65_537, 2_048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account", "private_key": key.decode(), "private_key_id": "k",
        "client_email": "a@b.iam.gserviceaccount.com",
    }  # fmt: skip
    given(monkeypatch, GOOGLE_SERVICE_ACCOUNT_KEY=json.dumps(account))
    url = urlsplit(put_url("gs://bucket/pre"))
    assert (url.hostname, url.path) == ("storage.googleapis.com", "/bucket/pre/incoming/x")
    assert parse_qs(url.query)["X-Goog-Expires"] == ["60"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Generic S3 error: x <Code>AccessDenied</Code><Key>k</Key>",
         "access is denied to these credentials (AccessDenied)"),
        ("Generic S3 error: x <Code>SlowDown</Code>", "the store says SlowDown"),
        ("Generic S3 error: Server returned non-2xx status code: 503 Service Unavailable: <html>",
         "the store says 503 Service Unavailable"),
        ("Generic S3 error: GET http://169.254.169.254/latest in 1 s: 403",
         "no credentials were found"),
        ("Generic GCS error: cannot open /no/file\n\nDebug source: secret",
         "cannot open /no/file"),
        ("Generic S3 error: at https://h/p?X-Amz-Signature=00 it failed", "at ... it failed"),
    ],
)  # fmt: skip
def test_a_reason_is_short_and_holds_no_url(said: str, reason: str) -> None:
    assert why_unusable(ValueError(said)) == reason
