"""Signature Version 4 in a URL, computed again from the standard.

Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

_UNRESERVED = "-_.~"


def signature_of(url: str, method: str, secret: str, region: str) -> str:
    """The signature that this URL must have for this method; what it says itself is left out."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    query.pop("X-Amz-Signature")
    at = query["X-Amz-Date"]
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    sorted_query = "&".join(
        f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}"
        for name, value in sorted(query.items())
    )
    canonical = "\n".join(
        (method, parts.path, sorted_query, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD")
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(("AWS4-HMAC-SHA256", at, scope, digest))
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def period_of(url: str) -> tuple[datetime, timedelta]:
    """Since when the URL counts, and for how long."""
    query = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    since = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return since, timedelta(seconds=int(query["X-Amz-Expires"]))
