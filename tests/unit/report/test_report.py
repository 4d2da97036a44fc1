"""A run's report: whole, safe whatever memories say, readable for a first version and for the sixtieth."""

from __future__ import annotations

import re
import stat
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from evaluated_run import LABEL, MEASURED, Evaluated, asked, label_of, line_of

from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Change, Measure
from metahuman_core.report import REPORT
from metahuman_core.report.facts import Row
from metahuman_core.report.heat_map import heat_map

Run = Callable[..., Evaluated]
VOID = {"meta", "rect", "path", "polyline", "!doctype"}
HOSTILE = '</td></table><script>alert("1")</script><img src=x onerror=alert(1)> &lt; \x00\x1b[31m ]]> {{x}}'


class Read(HTMLParser):
    """A page as a browser reads it: every element closed in its turn, what is text and what is markup."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def pictures(page: str) -> list[ET.Element]:
    """The pictures of a page, each of which is well-formed XML by itself."""
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]  # noqa: S314 - ours


def test_it_tells_how_the_run_was_judged_and_what_was_measured(run: Run) -> None:
    answers = [asked("Where is Juno?", "In Skagen.", False, True), asked("Who is Ilse?", "My sister.", True, False)]
    read = Read(run(parent=1, registry=line_of(1), evaluation=MEASURED, answers=answers).page())
    for told in (
        f"anna: run {LABEL}", "Its parent is version 1", "Passed", "10% 75% +65 points +40 to +85 points",
        "3.00 1.00 -2.00 -2.40 to -1.60", "-2 points", "+4 points", "0.123", "Lost: 1", "Gained: 1", "Where is Juno?",
        "My sister.", "120 samples, 60 steps, a loss of 0.5000", "mean KL 0.0051", "96.2%", "2.51 GiB", "f" * 64,
        "training.rank", "What is your boat called?",
    ):  # fmt: skip
        assert told in read.text, told
    assert {"html", "body", "svg", "table"} <= set(read.tags)


def test_it_is_one_file_that_fetches_nothing_runs_nothing_and_is_private(run: Run) -> None:
    made = run(evaluation=MEASURED)
    read = Read(made.page())
    assert {"script", "link", "img", "iframe", "object", "form", "base", "a"}.isdisjoint(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "href", "srcdoc")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes
    assert "url(" not in made.page()
    assert "@import" not in made.page()
    assert stat.S_IMODE((made.run_dir / REPORT).stat().st_mode) == 0o600


def test_it_suits_light_and_dark(run: Run) -> None:
    page = run().page()
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="color-scheme" content="light dark">' in page


def test_what_memories_and_answers_say_is_text_and_never_markup(run: Run) -> None:
    answers = [asked(HOSTILE, f"wanted {HOSTILE}", False, True), asked(f"b {HOSTILE}", HOSTILE, True, False)]
    made = run(f"My boat is called {HOSTILE}.", answers=answers, evaluation=MEASURED, first_reasons=(HOSTILE,))
    made.verdict = Verdict(passed=False, reasons=(HOSTILE,))
    made.plan = replace(made.plan, profile=HOSTILE, anchor=HOSTILE, anchor_revision=HOSTILE, base_model=HOSTILE)
    made.memories = [replace(memory, kind=HOSTILE) for memory in made.memories]
    page = made.page()
    read = Read(page)
    assert {"script", "img"}.isdisjoint(read.tags)
    assert '<script>alert("1")</script>' in read.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page)
    assert all(pictures(page))


def test_it_never_has_a_memory_s_text_beyond_what_was_asked(run: Run, note: Callable[..., object]) -> None:
    secret = "the combination of the safe is seventeen, four and ninety-nine"
    made = run(f"Yesterday I wrote down that {secret}.", evaluation=MEASURED)
    assert "seventeen" in (made.page() and (made.run_dir / "dataset.jsonl").read_text(encoding="utf-8"))
    assert "ninety-nine" not in made.page()


def test_a_long_prompt_is_cut_to_a_line(run: Run, note: Callable[..., object]) -> None:
    made = run()
    made.memories = [note("A long story. " * 100 + "Where were you?", "In Skagen.", kind="conversation")]  # type: ignore[list-item]
    read = Read(made.page())
    (told,) = [text for text in read.texts if text.startswith("A long story.")]
    assert len(told) < 170
    assert told.endswith("…")


def test_a_first_version_has_a_report_too(run: Run) -> None:
    page = run(evaluation=replace(MEASURED, old=Measure(0), recall={LABEL: 0.75})).page()
    read = Read(page)
    assert "A fresh start, without a parent" in read.text
    assert "older memories 0 none was asked" in read.text
    assert len(pictures(page)) == 2


def test_a_consolidation_says_why_it_was_made(run: Run) -> None:
    made = run(parent=2, registry=line_of(2))
    made.plan = replace(made.plan, consolidation="a memory was erased")
    read = Read(made.page())
    assert "Trained anew from the base on all that counts: a memory was erased." in read.text
    assert "Its parent is version 2" in read.text


def test_where_nothing_was_asked_there_is_a_report_all_the_same(run: Run) -> None:
    page = run().page()
    read = Read(page)
    assert read.text.count("none was asked") == 4
    assert "What was kept" not in read.text
    assert "Lost: 0" in read.text
    assert len(pictures(page)) == 1


def test_a_rejected_run_says_why_and_what_the_first_attempt_did(run: Run) -> None:
    why = Verdict(passed=False, reasons=("general ability is damaged: 2.00 to 4.00 bits per byte",))
    read = Read(run(verdict=why, first_reasons=("old memories are forgotten",)).page())
    assert "Rejected" in read.text
    assert why.reasons[0] in read.text
    assert "old memories are forgotten" in read.text


def test_a_second_attempt_shows_its_own_recipe(run: Run) -> None:
    first, second = (Read(run(first_reasons=reasons).page()).text for reasons in ((), ("it forgot",)))
    assert "second attempt" not in first
    assert "second attempt 0.5 times training.learning_rate" in second
    assert ("dataset.replay_ratio 1.0 " in first, "dataset.replay_ratio 2.0 " in second) == (True, True)


def test_what_is_no_number_is_no_number(run: Run) -> None:
    nan = float("nan")
    broken = replace(MEASURED, new=Measure(5, bits=Change(2.0, nan)), kl_to_anchor=nan, recall={LABEL: 0.0})
    page = run(evaluation=broken, losses=(3.0, nan, nan)).page()
    assert "no number" in Read(page).text
    assert "nan" not in "".join(ET.tostring(picture, encoding="unicode") for picture in pictures(page))


def test_what_was_lost_of_older_memories_comes_first(run: Run) -> None:
    lost = [asked(f"{of} question?", "Yes.", True, False, of) for of in ("general", "new", "old")]
    told = Read(run(answers=lost).page()).text
    assert told.index("old question?") < told.index("new question?") < told.index("general question?")


def test_many_answers_are_counted_and_the_first_are_shown(run: Run) -> None:
    lost = [asked(f"Question {at}?", "Yes.", True, False) for at in range(400)]
    read = Read(run(answers=lost).page())
    assert "Lost: 400" in read.text
    assert "… and 250 more, in evaluation.json." in read.text


def test_a_long_training_is_drawn_in_few_points(run: Run) -> None:
    page = run(losses=[3.0 / (at + 1) for at in range(20_000)]).page()
    (line,) = re.findall(r'<polyline points="(.*?)"', page)
    assert 100 < len(line.split()) <= 600


def test_the_same_run_gives_the_same_bytes(run: Run) -> None:
    made = run(evaluation=MEASURED, parent=3, registry=line_of(3))
    assert made.page() == made.page()


# --- the heat map ---------------------------------------------------------------------------------------------------


def test_the_line_is_drawn_and_not_what_was_left(run: Run) -> None:
    registry = line_of(3)
    branch = registry.get(3).model_copy(update={"version": 4, "run_label": label_of(4), "parent_version": 1})
    made = run(parent=4, registry=registry.with_version(branch), evaluation=MEASURED)
    told = [title.text for picture in pictures(made.page()) for title in picture.iter() if title.tag.endswith("title")]
    assert any(text and text.startswith("version 4,") for text in told)
    assert any(text and text.startswith("version this, batch of version this: 75%") for text in told)
    assert not any(text and text.startswith(("version 2,", "version 3,")) for text in told)


@pytest.mark.parametrize("versions", [1, 2, 12, 60, 200])
def test_it_stays_readable_however_many_versions_there_are(versions: int) -> None:
    registry = line_of(versions)
    rows = [Row(str(v.version), v.recall) for v in registry.training_history]
    drawn = heat_map(rows, {v.run_label: str(v.version) for v in registry.training_history})
    picture = ET.fromstring(drawn)  # noqa: S314 - ours
    tag = "{http://www.w3.org/2000/svg}"
    cells = picture.findall(f"{tag}g/{tag}rect")
    assert len(cells) == versions * (versions + 1) // 2
    assert all(float(cell.get("width", "0")) >= 8 for cell in cells)
    labels = [text for text in picture.findall(f"{tag}text") if (text.text or "").isdigit()]
    across = sorted(float(text.get("x", "0")) for text in labels if text.get("text-anchor") == "middle")
    down = sorted(float(text.get("y", "0")) for text in labels if text.get("text-anchor") == "end")
    assert {text.text for text in labels} >= {str(versions)}
    for places, apart in ((across, 20), (down, 9)):
        assert 1 <= len(places) <= 25
        assert all(later - earlier >= apart for earlier, later in pairwise(places))
    numbers = picture.findall(f"{tag}g/{tag}text")
    assert len(numbers) in (0, len(cells))
    assert bool(numbers) == (versions <= 20)


def test_a_batch_whose_run_is_not_known_has_its_day_for_a_name() -> None:
    assert ">03-01<" in heat_map([Row("this", {LABEL: 0.5})], {})


def test_a_share_is_the_strength_of_its_colour() -> None:
    drawn = heat_map([Row("1", {label_of(1): 0.0, label_of(2): 1.0})], {})
    assert re.findall(r'fill-opacity="(.*?)"', drawn) == ["0.07", "1.00"]
