"""``python -m lengthwise.cli`` is the command ``lengthwise``."""

import sys

from lengthwise.cli.main import main

sys.exit(main())
