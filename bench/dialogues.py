"""Memory folders made from a public dialogue set with questions and answers, in batches by date.

    python bench/dialogues.py --format locomo|longmemeval FILE --out DIR [--cycles N] [--questions N]

For each person DIR/N holds `batch-1/episodic/…` and so on, which the product reads as they are, and `probes.jsonl`:
what is asked, and what an answer must hold. `python bench/forgetting.py --dialogues locomo:FILE` makes them itself, and
learns them batch by batch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lifelong.dialogues import read_folder, write_folder
from lifelong.people import read_people
from metahuman_core.errors import MetahumanError
from report import table

_CYCLES, _QUESTIONS = 5, 60


def main() -> None:
    """Write the folders, and tell what is in them."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("file", type=Path, help="the set's JSON file")
    words.add_argument("--format", choices=("locomo", "longmemeval"), required=True)
    words.add_argument("--out", type=Path, required=True, help="where the folders are written")
    words.add_argument("--cycles", type=int, default=_CYCLES, help=f"batches (default {_CYCLES})")
    words.add_argument("--questions", type=int, default=_QUESTIONS, help="for a person of LongMemEval")
    given = words.parse_args()
    try:
        rows = []
        for number, person in enumerate(read_people(given.format, given.file, given.questions), 1):
            folder = given.out / str(number)
            write_folder(person, given.cycles, folder)
            there = read_folder(folder, given.cycles)
            counts = [f"{len(batch.memories)}, {len(batch.probes)}" for batch in there.batches]
            rows.append((f"{number} {person.name}", str(len(person.sessions)), *counts))
    except MetahumanError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    head = ("person", "sessions", *(f"batch {number}: memories, probes" for number in range(1, given.cycles + 1)))
    print(table(head, rows))


if __name__ == "__main__":
    main()
