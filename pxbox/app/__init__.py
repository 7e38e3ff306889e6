"""The only place where the parts are joined."""

from pxbox.app.berth import Berth
from pxbox.app.process import run

__all__ = ["Berth", "run"]
