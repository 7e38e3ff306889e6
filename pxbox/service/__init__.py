"""What the broker does for its callers: REST and WebSocket call only this."""
