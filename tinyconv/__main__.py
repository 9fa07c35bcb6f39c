"""``python -m tinyconv``."""

import sys

try:
    from tinyconv.cli import main
except KeyboardInterrupt:  # Ctrl-C while modules are loaded
    print("tinyconv: aborted", file=sys.stderr)
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
