"""The page at `/docs`: both API documents, to read."""

from __future__ import annotations

from pxbox.rest.docs.page import content_security_policy, render_docs

__all__ = ["content_security_policy", "render_docs"]
