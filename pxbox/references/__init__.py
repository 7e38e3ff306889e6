"""Schemas from elsewhere: fetched, kept for a while, put together."""
