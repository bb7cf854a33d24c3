"""How the check grows: ``python -m tests.proof.growth``. Flows of 5 to 60 questions, made by made.py."""

from __future__ import annotations

import sys
import time

from bot.proof.check import check
from tests.proof import made


def main() -> int:
    """One line for each flow; 1 when configurations of a ladder grow faster than its questions."""
    sizes: dict[int, int] = {}
    for name, make, counts in (("ladder", made.ladder, (5, 15, 30, 60)), ("hoard", made.hoard, (5, 8, 11, 14, 60))):
        for questions in counts:
            began = time.process_time()
            report = check(made.loaded(make(questions)), limit=40_000)
            spent = time.process_time() - began
            found = report.counts.get("configurations")
            if name == "ladder":
                sizes[questions] = found or 0
            told = (
                f"{found:>7,} configurations, {found / spent:>7,.0f} a second"
                if found
                else str(report.problems[0].problem)
            )
            print(f"{name:7} {questions:3} questions: {spent:6.2f} s, {told}")
    return int(sizes[60] > 13 * sizes[5])


if __name__ == "__main__":
    sys.exit(main())
