"""Brokers that believe an issuer's tokens, once it is there, and on live connections (X1)."""

from __future__ import annotations

import pytest
import trio

from tests.auth.issuers import Issuer, http, issuing, key_set, saying
from tests.auth.keypairs import jwk, signed
from tests.brokers import Broker, Brokers, Refused

FIRST, SECOND = http(key_set(jwk("ES256", kid="1"))), http(key_set(jwk("EdDSA", kid="2")))


async def status(broker: Broker, token: str) -> int:
    async with broker.rest(token) as rest:
        return (await rest.post("/v1/validate", json={"schema": {}})).status_code


async def test_a_broker_starts_before_its_issuer_and_believes_it_when_it_is_there(
    brokers: Brokers,
) -> None:
    token = signed("ES256", kid="1", sub="ana", scope="request")
    async with issuing(saying(http(b"", status="503 Not Yet"))) as (issuer, _):
        broker = await start(brokers, issuer)
        assert await status(broker, token) == 503
        assert await status(broker, broker.token("ana")) == 200
        issuer.answer = saying(FIRST)
        with trio.fail_after(60):
            while (answered := await status(broker, token)) == 503:
                await issuer.until(issuer.asked + 1)
        assert answered == 200
        assert token not in broker.log.read_text()
        # Keys that are made up are refused, and the issuer is not asked for each.
        issuer.answer = saying(SECOND)
        asked = issuer.asked
        for kid in ("2", "made up"):
            assert await status(broker, signed("EdDSA", kid=kid)) == 401
        assert issuer.asked == asked


async def test_a_live_connection_goes_on_with_a_token_of_the_issuer(brokers: Brokers) -> None:
    async with issuing(saying(FIRST)) as (issuer, _):
        broker = await start(brokers, issuer)
        async with broker.websocket(broker.token("ana", "request")) as socket:
            for token, code in (
                (signed("ES256", kid="1", sub="ana", scope="respond"), None),
                (signed("ES256", kid="1", sub="ben"), "another_client"),
                (signed("EdDSA", kid="2", sub="ana"), "unauthenticated"),
            ):
                reply = await socket.ask(type="auth", data={"token": token})
                assert reply.get("data", {}).get("code") == code
            with pytest.raises(Refused, match="forbidden"):
                await socket.command("createRequest", {"schema": {}, "to": "ben"})


async def start(brokers: Brokers, issuer: Issuer) -> Broker:
    return await trio.to_thread.run_sync(brokers, "--dev", "--jwks-url", issuer.url)
