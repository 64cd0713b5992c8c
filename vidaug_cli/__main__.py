"""`python -m vidaug_cli`, and where the console script begins: Ctrl-C gives no traceback while it loads, either."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Load the program and run it."""
    try:
        from vidaug_cli.main import main

        main()
    except KeyboardInterrupt:
        print("vidaug: interrupted; what is finished is kept", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    run()
