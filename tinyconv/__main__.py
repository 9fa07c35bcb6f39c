"""``python -m tinyconv``."""

import sys

from tinyconv.cli import main

if __name__ == "__main__":
    sys.exit(main())
