"""The WebSocket transport: `/v1/ws`."""
