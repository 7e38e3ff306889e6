"""`python -m pxbox`."""

import sys

from pxbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
