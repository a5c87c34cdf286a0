"""A process to kill: writes transactions to a state file and says on standard output which were acknowledged.

Usage: writer.py FILE SEED.  Each transaction writes the pair ``left`` and ``right`` and a log entry of its own.
Durable and other writes alternate, small and large ones too, so that a kill also meets checkpoints of the log.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from weft.store.base import Put
from weft.store.sqlite import SqliteStore


def main() -> None:
    chance = random.Random(int(sys.argv[2]))
    store = SqliteStore(Path(sys.argv[1]))
    pair = store.get("left")
    number, revision = (0, 0) if pair is None else (int(pair.value), pair.revision)
    while True:
        number += 1
        value = str(number).encode()
        revision = store.write(
            [
                Put(key="left", value=value, revision=revision),
                Put(key=f"log/{number:08}", value=value * chance.choice([1, 10, 2000]), revision=0),
                Put(key="right", value=value, revision=revision),
            ],
            durable=number % 2 == 0,
        )
        os.write(1, value + b"\n")


main()
