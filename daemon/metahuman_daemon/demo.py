"""`demo`: the example profile from nothing to version 2, each through the whole cycle, and then its questions.

All that it makes stays under its root, a config.toml included, so that every other command can be tried on it.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from metahuman_core.config import load_settings
from metahuman_core.converter import require_converter
from metahuman_core.durable import making, write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.memories.model import Skipped
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import walk
from metahuman_core.progress import Report
from metahuman_core.registering import fresh_registry
from metahuman_core.registry import load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.shipped import shipped
from metahuman_core.wish import Wish
from metahuman_daemon.commands_show import history
from metahuman_daemon.demo_daemon import learn_by_itself
from metahuman_daemon.fine_tune import fine_tune
from metahuman_daemon.publishing import publish_due
from metahuman_daemon.setting_up import demo_model, set_up
from metahuman_daemon.talks import open_talk
from metahuman_daemon.view import ProgressView

PROFILE = "tamsin"
_EXAMPLE = "profiles/example"
_ANSWER_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Question:
    """One of the demo's questions: any of `expect` answers it, none of `refuse` may be in the answer."""

    ask: str
    expect: tuple[str, ...]
    refuse: tuple[str, ...]
    since: int
    corrected: bool

    def answered_by(self, answer: str) -> bool:
        """Whether an answer tells the fact, as whole words, letter case aside."""
        told = any(re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE) for word in self.expect)
        return told and not any(word.casefold() in answer.casefold() for word in self.refuse)


def run_demo(root: Path, say: Callable[[str], None]) -> None:
    """Do it, or go on where an earlier one stopped. Raises MetahumanError for a folder that is something else."""
    began_s = time.monotonic()
    _refuse_foreign(root)
    set_up(demo=True, say=say)
    require_converter()
    lay_out(root, say)
    settings = load_settings(root / "config.toml")
    held_back = root / "held-back"
    with ProgressView() as view:
        _version(settings, 1, view, say)
        if not _has(settings, 2):
            say("\nVersion 2, by itself")
            learn_by_itself(settings, PROFILE, held_back, 2, view, say)
        if settings.ollama.enabled:
            publish_due(settings, PROFILE, view, say)
        _ask_all(settings, view)
    history(username=PROFILE, config=root / "config.toml")
    say(f"\n{(time.monotonic() - began_s) / 60:.1f} minutes; all of it is in {root}. Go on with, for example:")
    for command in ("chat", "status", "history", "report", "run", "doctor"):
        say(f"  metahuman {command} --config {root / 'config.toml'}")


def _refuse_foreign(root: Path) -> None:
    """Raise MetahumanError for a folder with anything in it but a demo."""
    if not root.exists():
        return
    config = root / "config.toml"
    is_demo = config.is_file() and PROFILE in load_settings(config).profiles
    if not root.is_dir() or (not is_demo and any(root.iterdir())):
        raise MetahumanError(f"{root} is no empty folder, and no demo", "name another: metahuman demo --root DIR")


def lay_out(root: Path, say: Callable[[str], None]) -> None:
    """Copy the example: the older two thirds of the memories where they belong, the rest beside them for later."""
    if (root / "config.toml").is_file():
        say(f"{root} is there already: going on")
        return
    say(f"the example profile, an invented person, is copied to {root}")
    home = ProfilePaths(root, PROFILE).home
    example = shipped(_EXAMPLE)
    late = _newest_third(example)
    for path in sorted(p for p in example.rglob("*") if p.is_file()):
        name = path.relative_to(example)
        target = (root / "held-back" if path in late else home) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    with making(root / "model") as partial:
        shutil.copytree(demo_model(), partial)
    start = fresh_registry("model", "local")
    update_registry(root / "etc" / "model-registry.json", lambda registry: registry, start)
    # The config comes last: with it, the folder is a demo that can go on.
    write_text(root / "config.toml", shipped("etc/demo.toml").read_text(encoding="utf-8"))


def _newest_third(example: Path) -> frozenset[Path]:
    """The files whose memories are the newest third by their own dates; files that say nothing stay with the old."""
    dated: list[tuple[datetime, Path]] = []
    for folder in (example / "memory", example / "persona" / "therapy"):
        for found in walk(folder):
            if isinstance(found, Skipped):
                continue
            when = [m.happened_at for m in read(found, Limits()) if not isinstance(m, Skipped) and m.happened_at]
            if when:
                dated.append((max(when), found.path))
    dated.sort()
    return frozenset(path for _, path in dated[len(dated) * 2 // 3 :])


def _has(settings: Settings, number: int) -> bool:
    registry = load_registry(settings.registry_path(PROFILE))
    return registry is not None and registry.find(number) is not None


def _version(settings: Settings, number: int, report: Report, say: Callable[[str], None]) -> None:
    if _has(settings, number):
        return
    say(f"\nVersion {number}")
    version = fine_tune(settings, Wish(PROFILE), report, say)
    if version is None or not version.training_success:
        reasons = "; ".join(version.reasons) if version else "nothing was due"
        raise MetahumanError(f"version {number} did not come: {reasons}")


def _ask_all(settings: Settings, report: Report) -> None:
    """Ask base, version 1 and version 2, and print who knew what."""
    raw = tomllib.loads(shipped(f"{_EXAMPLE}/questions.toml").read_text(encoding="utf-8"))
    questions = [
        Question(q["ask"], tuple(q["expect"]), tuple(q.get("not", ())), q["since"], q.get("corrected", False))
        for q in raw["question"]
    ]
    answers: dict[str, list[str]] = {}
    for which in ("base", "1", "2"):
        with open_talk(settings, PROFILE, which, report) as talk:
            answers[which] = [
                "".join(talk.ask(q.ask, temperature=0, max_tokens=_ANSWER_TOKENS, remember=False)) for q in questions
            ]
    out = sys.stdout.write
    out(f"\n{len(questions)} questions, in phrasings that no memory and no template uses (told to version 1 or 2):\n\n")
    for number, question in enumerate(questions):
        marks = "".join("x" if question.answered_by(answers[w][number]) else "." for w in answers)
        note = " (corrected since)" if question.corrected else ""
        out(f"  {marks}  [{question.since}] {question.ask}{note}\n          {' '.join(answers['2'][number].split())}\n")
    out("\n  x answered, . not: base, version 1, version 2; below each question what version 2 said\n\n")
    for which, label in (("base", "base"), ("1", "version 1"), ("2", "version 2")):
        known = [q.answered_by(a) for q, a in zip(questions, answers[which], strict=True)]
        early = sum(k for k, q in zip(known, questions, strict=True) if q.since == 1)
        of_early = sum(q.since == 1 for q in questions)
        out(
            f"  {label:<10} {sum(known):>3} of {len(known)}  ({early} of {of_early} told to version 1, "
            f"{sum(known) - early} of {len(known) - of_early} told to version 2)\n"
        )
    out("\n")
