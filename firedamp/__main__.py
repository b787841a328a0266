"""python -m firedamp"""

import sys

from firedamp.cli import main

if __name__ == "__main__":
    sys.exit(main())
