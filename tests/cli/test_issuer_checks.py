"""`pxbox doctor` with an issuer's URL, and a broker that believes its tokens."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import trio

from tests.auth.issuers import http, issuing, key_set, saying
from tests.auth.keypairs import jwk
from tests.cli.conftest import Pxbox

KEYS = http(key_set(jwk("ES256", kid="a"), jwk("EdDSA", kid="b")))


async def issuer_check(pxbox: Pxbox, url: str, *flags: str) -> dict[str, Any]:
    run = partial(pxbox, "doctor", "--json", "--port=0", "--jwks-url", url, *flags)
    outcome = await trio.to_thread.run_sync(run)
    assert outcome.stderr == ""
    found: dict[str, Any] = next(
        check for check in json.loads(outcome.stdout)["checks"] if check["name"] == "issuer"
    )
    return found


async def test_doctor_fetches_the_keys_of_an_issuer(pxbox: Pxbox) -> None:
    async with issuing(saying(KEYS)) as (issuer, _):
        url = issuer.url.replace("://", "://me:hunter2@")
        found = await issuer_check(pxbox, url, "--dev")
        assert found["severity"] == "ok"
        assert "2 keys" in found["detail"]
        assert "hunter2" not in str(found)
        assert issuer.asked == 1


async def test_doctor_says_why_the_keys_of_an_issuer_cannot_be_had(pxbox: Pxbox) -> None:
    async with issuing(saying(http(b"<html>sorry"))) as (issuer, _):
        found = await issuer_check(pxbox, issuer.url, "--dev")
        assert found["severity"] == "error"
        assert "is not a JSON Web Key Set" in found["detail"]
        assert "--jwks-url" in found["hint"]
    found = await issuer_check(pxbox, issuer.url, "--dev")
    assert found["severity"] == "error"
