"""`python -m edge_sdk_runtime` is `edge-run`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
