"""`python -m minidl`."""

import sys

from minidl.lab.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
