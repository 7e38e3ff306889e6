"""The page for people, as it was built into `dist/`, and how it is served."""

from pxbox.web.serving import with_page
from pxbox.web.site import Site, read_site

__all__ = ["Site", "read_site", "with_page"]
