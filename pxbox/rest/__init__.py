"""The REST transport: `/v1`, and the service's own pages."""
