"""The bucket that a URL of the settings names, by the credentials of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Store: TypeAlias = S3Store | GCSStore | AzureStore

_CLIENT: ClientConfig = {"timeout": timedelta(seconds=30), "connect_timeout": timedelta(seconds=5)}
_RETRIES: RetryConfig = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
}
_ENDPOINTS = (
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)  # fmt: skip
# Stores answer in XML; Google's newer parts in JSON.
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|\"reason\":\s*\"(\w{1,64})\"")
# Where machines of a cloud ask who they are, once the environment has said nothing.
_METADATA = re.compile(r"http://(169\.254\.|metadata\.)")
_STATUS = re.compile(r"status code: (\d{3}[ A-Za-z]{0,40})")
_WORDS = {
    "NoSuchBucket": "there is no such bucket",
    "ContainerNotFound": "there is no such container",
    "InvalidBucketName": "the bucket's name is not valid",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is not that of the access key",
    "AccessDenied": "access is denied to these credentials",
    "AuthenticationFailed": "access is denied to these credentials",
    "PermanentRedirect": "the bucket is in another region",
    "AuthorizationHeaderMalformed": "the bucket is in another region",
}


class BucketUnusable(Exception):
    """The bucket cannot be used; the message says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a prefix in one, and the headers that an upload to it must have; `origin` is
    where uploads go, once that is known."""

    # The library's own spelling of an Azure store whose account is the environment's is a panic.
    store: Store = field(repr=False)
    put_headers: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None


def open_bucket(url: str) -> Bucket:
    """The bucket at `s3://bucket/prefix`, `gs://` or `az://`; nothing is sent there yet.

    Credentials, region and endpoint are those of the environment, or of the cloud's machine that
    this is. Raises BucketUnusable.
    """
    # Whoever writes http:// into the endpoint means it.
    plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    client: ClientConfig = {**_CLIENT, "allow_http": True} if plain else _CLIENT
    try:
        store = obstore.store.from_url(url, client_options=client, retry_config=_RETRIES)
    except (BaseError, ValueError) as error:
        raise BucketUnusable(why_unusable(error)) from None
    assert isinstance(store, S3Store | GCSStore | AzureStore), "the settings admit no others"
    # A PUT to Azure says which kind of blob it makes.
    needed = {"x-ms-blob-type": "BlockBlob"} if isinstance(store, AzureStore) else {}
    return Bucket(store, needed)


def check_bucket(bucket: Bucket) -> str:
    """The origin that uploads go to, as browsers write it, once the bucket has answered. Blocks.

    Raises BucketUnusable. Changes nothing: whether it may be written to shows at the first upload.
    """
    try:
        # Not a HEAD: that one answers in the same way without an object and without a bucket.
        next(iter(obstore.list(bucket.store, "incoming/", chunk_size=1)), None)
        url = obstore.sign(bucket.store, "PUT", "incoming/x", timedelta(seconds=1))
    except (BaseError, FileNotFoundError) as error:
        raise BucketUnusable(why_unusable(error)) from None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def why_unusable(error: Exception) -> str:
    """The reason in some words. What a library says holds URLs, and whole answers of servers."""
    text = str(error)
    if _METADATA.search(text):
        return "no credentials were found"
    if found := _CODE.search(text):
        code = found[1] or found[2]
        return f"{_WORDS[code]} ({code})" if code in _WORDS else f"the store says {code}"
    if found := _STATUS.search(text):
        return f"the store says {found[1].strip()}"
    if "error sending request" in text:
        return "nothing answers there"
    # Before the first colon stands the kind of store, then one line of reason.
    line = text.partition("\n")[0].partition(": ")[2] or text.partition("\n")[0]
    return re.sub(r"https?://\S+", "...", line)[:200]
