"""The stand on which commands are struck: told on stdin what to run, one JSON object a line.

Each order is carried out by a fork of this process, which has everything imported already: it costs milliseconds where
a Python of its own costs half a second. `words` are metahuman's own; or `remake` carries a rebuilding out, with
stand-ins for the heavy work. `at`: the number of the moment at which the saboteur strikes, -1 for none. Two lines
answer: the fork's pid, and, when it has ended, how.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "saboteur"))

from stand_ins import make_weights

from metahuman_core.versions.rebuilding.order import read_order
from metahuman_core.versions.rebuilding.remaking import remake
from metahuman_daemon import cli, fine_tune, having, moving, retention, view
from saboteur import Saboteur

# What commands import when they need it would be imported by each fork anew.
_AHEAD = (fine_tune, having, moving, retention, view)


def main() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _carry_out(json.loads(line))
        _answer(pid=pid)
        _answer(code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(**words: int) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _carry_out(order: dict[str, Any]) -> NoReturn:
    os.chdir(order["root"])
    for name in [name for name in os.environ if name.startswith(("METAHUMAN_", "OLLAMA_"))]:
        del os.environ[name]
    os.environ["OLLAMA_HOST"] = order["ollama"]
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    code = 1
    try:
        log = Path(order["log"]) if order["log"] else None
        Saboteur(Path(order["watched"]), lambda number, _: number == order["at"], how=order["how"], log=log).watch()
        _do(order)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:  # noqa: BLE001  # a fork must not go on as what it was forked from
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _do(order: dict[str, Any]) -> None:
    if order["words"]:
        sys.argv = ["metahuman", *order["words"], "--config", "config.toml"]
        cli.main()
    else:
        remake(read_order(order["remake"]), make_weights, lambda _: None, lambda: False)


if __name__ == "__main__":
    main()
