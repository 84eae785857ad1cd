"""``python -m lengthwise.bench.waiting``, as a program that forks can run."""

from __future__ import annotations

from lengthwise.bench.waiting import main

if __name__ == "__main__":
    main()
