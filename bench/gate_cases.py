"""The cases of the gate's bench: twenty sabotaged versions, which must be stopped, and twenty honest ones. Data alone.

Invariant: half "a" is what bounds are read off, half "b" what they are held against; the two alternate within a kind.
A case's recipe says all that it is made of, so that a digest of it tells whether its measures can be used again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from metahuman_core.journal import digest_of
from metahuman_core.settings import DatasetSettings

Kind = Literal["sabotaged", "honest"]
Half = Literal["", "a", "b"]
Where = Literal["", "lessons", "ids", "file", "adapter", "weights"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version is trained. `part`: which memories are new; `parent`: the ground's version before it, or none."""

    part: str
    parent: Literal["", "v1", "v2"] = "v1"
    epochs: float = 2.75
    rank: int = 16
    seed: int = 20
    batch_samples: int = 4
    replay_ratio: float = DatasetSettings().replay_ratio
    rate_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """One version to judge.

    `where` something is spoilt, and by which of the functions there (`spoilt`): the samples that are trained, their
    token ids, the dataset's file, the adapter, or model/ and GGUF. Of the last two nothing is trained: they are the
    ground's second version's own, spoilt. `words`: one of the reasons must hold one of these. `weights`: whether an
    honest one is merged, quantised and checked, too.
    """

    name: str
    kind: Kind
    recipe: Recipe
    where: Where = ""
    spoilt: str = ""
    words: tuple[str, ...] = ()
    weights: bool = False
    half: Half = ""
    quick: bool = False

    @property
    def trains(self) -> bool:
        """Whether it is trained: that takes the most of the time."""
        return self.where in ("", "lessons", "ids")

    @property
    def of_ground(self) -> str:
        """Which version of the ground it is or is made of, where it is one."""
        if self.where in ("file", "adapter", "weights"):
            return "v2"
        return self.name if self.name in ("v1", "v2") else ""

    def digest(self, size: str) -> str:
        """Of what it is made of, on a ground of this size; what must come out of it is not in it."""
        made_of = replace(self, words=(), half="", quick=False)
        return digest_of([made_of, ground_digest(size)])[:12]


def ground_digest(size: str) -> str:
    """Of what the ground of this size is made of."""
    return digest_of([V1, V2, _MEANING, size])[:12]


# Raised where a recipe has come to mean something else: nothing that was measured before is used again.
_MEANING = 5
V1 = Recipe("first", parent="")
V2 = Recipe("second")
_SHORT = replace(V2, epochs=2)

_LEARNED, _DAMAGED = ("new memories are not",), ("general ability is damaged", "it has drifted from the base")
_LOST = ("old memories are",)
_FLAWED = ("empty, repeat themselves or hold control tokens",)


def _sabotaged(name: str, where: Where, words: tuple[str, ...], recipe: Recipe = V2, spoilt: str = "") -> Case:
    quick = where in ("file", "weights") or name in ("parents-adapter", "adapter-nan")
    return Case(name, "sabotaged", recipe, where, spoilt or name, words, quick=quick)


def _honest(name: str, recipe: Recipe, *, weights: bool = False) -> Case:
    return Case(name, "honest", recipe, weights=weights, quick=weights)


def _halved(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    return tuple(replace(case, half="b" if place % 2 else "a") for place, case in enumerate(cases))


SABOTAGED = _halved(
    (
        _sabotaged("dataset-cut-off", "file", ("changed or cut off",)),
        _sabotaged("parents-adapter", "adapter", _LEARNED),
        _sabotaged("adapter-nan", "adapter", ("no numbers",)),
        _sabotaged("adapter-zeroed", "adapter", _LOST),
        _sabotaged("adapter-noise", "adapter", _DAMAGED + _LOST),
        _sabotaged("adapter-times-four", "adapter", _DAMAGED + _LOST + _FLAWED),
        _sabotaged("model-half-zeroed", "weights", ("model/ is not what was measured",)),
        _sabotaged("template-wrong", "weights", ("chat template is not model/'s",)),
        _sabotaged("gguf-tensor-zeroed", "weights", ("mean KL of the GGUF", "the GGUF's first choice")),
        _sabotaged("loss-nan", "lessons", ("loss is no number",), replace(_SHORT, rate_factor=1e30), "nothing"),
        _sabotaged("rate-x30", "lessons", (*_DAMAGED, "no number"), replace(_SHORT, rate_factor=30), "nothing"),
        _sabotaged("answers-empty", "lessons", _FLAWED, _SHORT),
        _sabotaged("answers-shuffled", "lessons", _LEARNED + _LOST, _SHORT),
        _sabotaged("one-fact-500-times", "lessons", _LEARNED, replace(_SHORT, epochs=1, batch_samples=8)),
        _sabotaged("another-language", "lessons", _LEARNED, _SHORT),
        _sabotaged("control-tokens", "ids", _FLAWED, _SHORT),
        _sabotaged("another-person", "lessons", _LEARNED, _SHORT),
        _sabotaged("answers-repeating", "lessons", _FLAWED, _SHORT),
        _sabotaged("dont-know", "lessons", _LEARNED, _SHORT),
        _sabotaged("old-contradicted", "lessons", _LOST),
    )
)

HONEST = _halved(
    (
        Case("v1", "honest", V1, weights=True, quick=True),
        Case("v2", "honest", V2, weights=True, quick=True),
        _honest("seed-21", replace(V2, seed=21)),
        _honest("seed-22-other-memories", replace(V2, part="third", seed=22)),
        _honest("summer-memories", replace(V2, part="fourth")),
        _honest("late-memories", replace(V2, part="sixth")),
        _honest("corrections", replace(V2, part="corrections")),
        _honest("journal", replace(V2, part="journal")),
        _honest("half-the-epochs", replace(V2, part="fifth", epochs=1.375)),
        _honest("twelve-memories", replace(V2, part="twelve")),
        _honest("conversations", replace(V2, part="conversations")),
        _honest("third-version", replace(V2, part="third", parent="v2")),
        _honest("fresh-start", replace(V2, parent="")),
        _honest("replay-half", replace(V2, replay_ratio=0.5)),
        _honest("replay-two", replace(V2, part="third", replay_ratio=2)),
        _honest("rank-32-fresh-start", replace(V2, part="third", parent="", rank=32)),
        _honest("rank-8-fresh-start", replace(V2, part="fourth", parent="", rank=8)),
        _honest("gentler-attempt", replace(V2, replay_ratio=2, rate_factor=0.5)),
        _honest("double-epochs", replace(V2, part="twelve", epochs=5.5)),
        _honest("third-version-late", replace(V2, part="fifth", parent="v2", seed=23)),
    )
)

CASES = (*SABOTAGED, *HONEST)
