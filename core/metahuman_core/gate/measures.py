"""What the gate measures: each prompt's two answers, and what they come to over a set of prompts. Data alone.

Invariant: `before` is the version that the new one is compared with (the parent; the anchor at a fresh start), asked
the same prompts with the same words, so that every difference is a paired one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SetName = Literal["new", "old", "general", "unknown"]
Flaw = Literal["", "empty", "repeating", "control tokens"]


@dataclass(frozen=True, slots=True)
class Said:
    """One greedy answer, and how likely the wanted one was: `bits_per_byte` of its UTF-8 bytes.

    `exact`: the wanted words and no others. `recalled`: what was wanted is in it. `flaw`: what is wrong with the text.
    """

    answer: str
    bits_per_byte: float
    exact: bool
    recalled: bool
    flaw: Flaw


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt and both answers to it.

    `batch`: the label of the run that trained the memory (digest) first, "" for general prompts. `then`: whether it was
    recalled by each version of the ancestry that was asked it, the oldest first.
    """

    set: SetName
    batch: str
    memory: str
    ask: str
    wanted: str
    before: Said
    after: Said
    then: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval of a mean difference, after minus before."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """A mean over the same prompts before and after; `interval` of the difference is None for fewer than two."""

    before: float = 0.0
    after: float = 0.0
    interval: Interval | None = None

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Measure:
    """One set of prompts: bits per byte (less is better), the shares of answers that were recalled, exact, flawed."""

    prompts: int
    bits: Change = Change()
    recall: Change = Change()
    exact: Change = Change()
    flawed: Change = Change()


@dataclass(frozen=True, slots=True)
class Transfer:
    """What learning did to what was learned before and to what was to come, in shares of prompts (-1 to 1).

    `backward`: BWT, the mean over batches of (recall now) - (recall right after the batch was trained). `forgetting`:
    the mean of (the best recall ever) - (recall now). `forward`: recall of the new memories by the parent less that by
    the anchor, before either was told. None where there is nothing to compare. As in Lopez-Paz and Ranzato 2017,
    Chaudhry et al. 2018.
    """

    backward: float | None = None
    forgetting: float | None = None
    forward: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: kept-out phrasings of the new memories and of the ancestry's, and general prompts.

    `unknown`: personal questions that no memory answers; recalled is whether the answer says so, somehow.

    `kl_to_anchor`: mean KL(anchor ‖ new) in nats a token of the check text: plain prose, which is like nothing that is
    trained. `text_nats`: mean negative log likelihood of that text, for whoever merges to compare with (None: not
    measured). `recall`: the version's row of the R matrix, the share of prompts recalled by batch (run label; its own
    is the last).

    So that many small losses are seen: `since_learned` is the recall of old prompts now, against that of the first
    version that was asked each (as a rule the one that learned it; of other measures it has none); `since_anchor` the
    bits per byte of the general prompts, against the anchor's.
    """

    new: Measure
    old: Measure
    general: Measure
    kl_to_anchor: float = 0.0
    text_nats: float | None = None
    transfer: Transfer = Transfer()
    recall: dict[str, float] = field(default_factory=dict)
    unknown: Measure = Measure(0)
    since_learned: Measure = Measure(0)
    since_anchor: Change = Change()
