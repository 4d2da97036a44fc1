"""Puts a report's facts into one page. Pure: the same facts give the same text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from metahuman_core.gate.attempts import attempt_of
from metahuman_core.gate.measures import Asked, Change, Said, SetName
from metahuman_core.report.facts import Facts
from metahuman_core.report.heat_map import heat_map
from metahuman_core.report.markup import Html, bullets, folded, joined, paragraph, picture, section, table, text
from metahuman_core.report.style import STYLE
from metahuman_core.steps.loss_curve import loss_svg

_MOST_ANSWERS = 150
_ORDER: tuple[SetName, ...] = ("old", "new", "unknown", "general")
_NONE = "\u2013"
_POINTS = " points"
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def page(facts: Facts) -> str:
    """The whole of `report.html`."""
    title = f"{facts.plan.profile}: run {facts.run_label}"
    body = joined(
        part
        for part in (
            Html(f"<header><h1>{text(title)}</h1>{_origin(facts)}</header>"),
            _verdict(facts),
            _measures(facts),
            _matrix(facts),
            _answers(facts),
            _loss(facts),
            _trained(facts),
            _weights(facts),
            _recipe(facts),
        )
        if part
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _origin(facts: Facts) -> Html:
    plan = facts.plan
    told = f"Its parent is version {plan.parent_version}" if plan.parent_version else "A fresh start, without a parent"
    anew = f"Trained anew from the base on all that counts: {plan.consolidation}."
    revision = f" at {plan.anchor_revision[:12]}" if plan.anchor_revision else ""
    return joined(
        [
            paragraph(f"{told}; the base is {plan.anchor}{revision}. Begun on {facts.run_label[:10]}."),
            *([paragraph(anew)] if plan.consolidation else []),
            paragraph("This page holds answers about memories: it is private."),
        ]
    )


def _verdict(facts: Facts) -> Html:
    learned = facts.made.learned
    told = "Passed" if learned.verdict.passed else "Rejected"
    first = [
        paragraph("The first attempt did not pass, and this is the second, with a gentler recipe:"),
        bullets(learned.first_reasons),
    ]
    return section(
        "Verdict",
        paragraph(told, "good verdict" if learned.verdict.passed else "bad verdict"),
        bullets(facts.made.reasons),
        *(first if learned.first_reasons else ()),
    )


def _measures(facts: Facts) -> Html:
    evaluation = facts.made.learned.evaluation
    sets = {
        "new memories": evaluation.new,
        "older memories": evaluation.old,
        "general questions": evaluation.general,
        "what no memory answers (recalled: it says so)": evaluation.unknown,
    }
    rows: list[tuple[str, ...]] = []
    for name, measure in sets.items():
        if not measure.prompts:
            rows.append((name, "0", "none was asked", "", "", "", ""))
            continue
        of = f"{measure.prompts}"
        rows += [
            (name, of, "recalled", *_shares(measure.recall)),
            ("", "", "word for word", *_shares(measure.exact)),
            ("", "", "empty, repeating, control tokens", *_shares(measure.flawed)),
            ("", "", "bits per byte (less is better)", *_bits(measure.bits)),
        ]
    if (since := evaluation.since_learned).prompts:
        rows.append(("older memories", f"{since.prompts}", "recalled, since each was learned", *_shares(since.recall)))
    if evaluation.general.prompts:
        rows.append(("general questions", "", "bits per byte, since the base", *_bits(evaluation.since_anchor)))
    transfer = evaluation.transfer
    others = [
        ("Backward transfer (older batches now, against right after each was learned)", _points(transfer.backward)),
        ("Forgetting (older batches now, against the best ever)", _points(transfer.forgetting)),
        ("Forward transfer (new memories before they were told, against the base)", _points(transfer.forward)),
        ("Mean KL to the base on plain text, nats a token", _number(evaluation.kl_to_anchor, 3)),
    ]
    return section(
        "Measures",
        paragraph("On questions in words that were never trained; before is its parent, or the base."),
        table(("", "asked", "", "before", "after", "difference", "95 % interval"), rows, (1, 3, 4, 5, 6)),
        table(("", ""), others, (1,)),
    )


def _matrix(facts: Facts) -> Html:
    if not any(row.recall for row in facts.rows):
        return Html("")
    about = "How much of each batch of memories (to the right) every version (downwards) recalled, in percent."
    return section("What was kept", paragraph(about), picture(heat_map(facts.rows, facts.names), "matrix"))


def _answers(facts: Facts) -> Html:
    asked = facts.answers
    gained = [one for one in asked if one.after.recalled and not one.before.recalled]
    lost = [one for one in asked if one.before.recalled and not one.after.recalled]
    never = [one for one in asked if not one.before.recalled and not one.after.recalled and one.set != "general"]
    return section(
        "Answers",
        Html(f"<h3>Lost: {len(lost)}</h3>"),
        _asked(lost),
        Html(f"<h3>Gained: {len(gained)}</h3>"),
        _asked(gained),
        folded(f"Not recalled, before or after: {len(never)}", _asked(never)),
    )


def _asked(asked: Sequence[Asked]) -> Html:
    if not asked:
        return paragraph("None.")
    rows = [
        (one.set, one.ask, one.wanted, _said(one.before), _said(one.after))
        for one in sorted(asked, key=lambda one: _ORDER.index(one.set))[:_MOST_ANSWERS]
    ]
    more = [paragraph(f"… and {len(asked) - len(rows)} more, in evaluation.json.")] if len(asked) > len(rows) else []
    return joined([table(("set", "asked", "wanted", "before", "after"), rows), *more])


def _said(said: Said) -> str:
    return f"{said.answer} [{said.flaw}]" if said.flaw else said.answer


def _loss(facts: Facts) -> Html:
    adapter = facts.made.learned.adapter
    return section(
        "Training",
        paragraph(
            f"{adapter.samples} samples, {adapter.steps} steps, a loss of {_number(adapter.final_loss, 4)} at the end."
        ),
        picture(loss_svg(facts.losses), "loss"),
    )


def _trained(facts: Facts) -> Html:
    dataset = facts.made.learned.dataset
    rows = [(one.role, one.kind, str(one.trained), str(one.kept_out)) for one in facts.trained]
    more = [paragraph(f"… and {facts.more_asks} more, in dataset.jsonl.")] if facts.more_asks else []
    return section(
        "What was trained",
        paragraph(f"{dataset.memories_new} new memories, and a replay of {dataset.memories_replayed} older ones."),
        table(("role", "kind", "samples trained", "questions kept out"), rows, (2, 3)),
        folded("What was asked of the new memories", bullets(facts.asks), *more),
    )


def _weights(facts: Facts) -> Html:
    made = facts.made
    adapter, checked = made.learned.adapter, made.checked
    parts = [
        ("adapter", _size(adapter.size_bytes), adapter.sha256),
        ("model/, unquantised", _size(made.merged.size_bytes), made.merged.sha256),
        (f"GGUF, {made.gguf.quantization}", _size(made.gguf.size_bytes), made.gguf.sha256),
    ]
    return section(
        "Weights",
        table(("", "size", "SHA-256"), parts, (1,)),
        paragraph(
            f"The GGUF against model/, on {checked.tokens} tokens of a fixed text: mean KL "
            f"{_number(checked.mean_kl, 4)} nats a token, the same first choice for {checked.top1_agreement:.1%}."
        ),
    )


def _recipe(facts: Facts) -> Html:
    plan = facts.plan
    attempt = attempt_of(plan, facts.made.learned.first_reasons)
    sections = {"dataset": attempt.dataset, "training": plan.training, "gate": plan.gate, "weights": plan.weights}
    rows = [("mode", plan.mode), ("base", plan.base_model), ("anchor", plan.anchor), ("revision", plan.anchor_revision)]
    if attempt.reasons:
        rows.append(("second attempt", f"{attempt.rate_factor:g} times training.learning_rate"))
    rows += [
        (f"{name}.{setting}", str(value)) for name, of in sections.items() for setting, value in of.model_dump().items()
    ]
    done = [(name, f"{at:%Y-%m-%d %H:%M:%S %Z}") for name, at in facts.done]
    return section("Recipe", folded("Settings", table(("", ""), rows)), folded("Steps", table(("step", "done"), done)))


def _shares(change: Change) -> tuple[str, str, str, str]:
    return _changed(change, _percent, _points)


def _bits(change: Change) -> tuple[str, str, str, str]:
    return _changed(change, lambda value: _number(value, 2), lambda value: _number(value, 2, signed=True))


def _changed(
    change: Change, shown: Callable[[float], str], difference: Callable[[float], str]
) -> tuple[str, str, str, str]:
    interval = change.interval
    low, high = (difference(end) for end in (interval.low, interval.high)) if interval else (_NONE, _NONE)
    # The unit once, behind both.
    between = f"{low.removesuffix(_POINTS)} to {high}" if interval else _NONE
    return shown(change.before), shown(change.after), difference(change.difference), between


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else _NONE


def _points(share: float | None) -> str:
    return _NONE if share is None or not math.isfinite(share) else f"{100 * share:+.0f}{_POINTS}"


def _number(value: float, digits: int, *, signed: bool = False) -> str:
    return f"{value:{'+' if signed else ''}.{digits}f}" if math.isfinite(value) else "no number"


def _size(count: int) -> str:
    return next((f"{count / unit:.2f} {name}" for unit, name in _UNITS if count >= unit), f"{count} bytes")
