"""What holds for every plan, whatever the versions and the policy are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.settings import KeepFullSettings, KeepServingSettings, KeepSettings, RetentionSettings
from metahuman_core.versions.footprint import RANKS, File, Files, rank
from metahuman_core.versions.retention.fates import Candidate
from metahuman_core.versions.retention.planning import Plan, plan_retention
from metahuman_core.versions.retention.policy import Policy, Rules, policy_of

NOW = datetime(2031, 11, 20, 12, tzinfo=UTC)
ZONES = st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Apia")])
HELD = {"full": ("model", "gguf", "adapter"), "serving": ("gguf", "adapter"), "archived": ("adapter",), "removed": ()}
counts = st.integers(0, 4)
rules = st.builds(Rules, counts, counts, counts, counts, counts)
policies = st.builds(Policy, rules, rules, rules)
limits = st.sampled_from([1, 40, 200, 1000])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Candidate, ...]:
    """Versions as the real ones are, and nonsense too: of any time, in a circle of anchors, without files."""
    count = draw(st.integers(0, 9))
    archives = draw(st.booleans())

    def version(number: int) -> Candidate:
        storage = draw(st.sampled_from(RANKS))
        hours = draw(st.integers(-20_000, 500))
        return Candidate(
            version=number,
            made_at=NOW + timedelta(hours=hours) if draw(st.integers(0, 9)) else None,
            storage=storage,
            rejected=not draw(st.integers(0, 5)),
            protected=() if draw(st.integers(0, 3)) else ("pinned",),
            anchor=draw(st.none() | st.integers(1, count)),
            not_rebuildable="" if draw(st.integers(0, 3)) else "its adapter is gone",
            archives=archives,
            files=_files(number, HELD[storage]) if draw(st.integers(0, 5)) else {},
        )

    return tuple(version(number) for number in range(1, count + 1))


def _files(number: int, held: tuple[str, ...]) -> Files:
    sizes = {"model": 100, "gguf": 50, "adapter": 1}
    return {p: (File(1, number * 10 + n, 1, sizes[p]),) for n, p in enumerate(held)}


def plan_of(found: tuple[Candidate, ...], policy: Policy, zone: ZoneInfo, *, keep_all: bool) -> Plan:
    """The plan, or where everything would go, one that does nothing."""
    try:
        return plan_retention(found, policy, NOW, zone, keep_all_versions=keep_all)
    except MetahumanError:
        assert not keep_all
        return plan_retention(found, policy, NOW, zone, keep_all_versions=True)


def carried_out(found: tuple[Candidate, ...], plan: Plan) -> tuple[Candidate, ...]:
    """The versions as they are when a plan was carried out."""
    return tuple(
        replace(c, storage=v.after, files={p: files for p, files in c.files.items() if p not in v.parts})
        for c, v in zip(found, plan.verdicts, strict=True)
    )


@given(histories(), policies, limits | st.just(0), ZONES, st.booleans())
@settings(max_examples=120)
def test_what_no_plan_does(
    found: tuple[Candidate, ...], policy: Policy, limit: int, zone: ZoneInfo, keep: bool
) -> None:
    plan = plan_of(found, replace(policy, max_total_bytes=limit), zone, keep_all=keep)
    after = {v.version: v.after for v in plan.verdicts}
    stay = {c.version for c in found if after[c.version] != "removed"}
    for c, v in zip(found, plan.verdicts, strict=True):
        assert v.reasons
        assert all(v.reasons)
        assert rank(v.after) <= rank(v.before)
        assert v.frees_bytes == sum(file.size_bytes for part in v.parts for file in c.files[part])
        if c.protected:
            assert (v.after, v.parts, v.frees_bytes, v.reasons) == (c.storage, (), 0, c.protected)
        if c.not_rebuildable:
            assert v.after in {c.storage, "removed"}
        if keep and v.after == "removed":
            assert c.storage == "removed"
        if v.after == "removed" and c.storage != "removed":
            assert not any(other.anchor == c.version and other.version in stay for other in found)
    assert plan.before_bytes - plan.frees_bytes == plan.after_bytes
    assert plan.over_bytes == (max(0, plan.after_bytes - limit) if limit else 0)
    assert stay or all(c.storage == "removed" for c in found)


@given(histories(), policies, ZONES, st.booleans())
@settings(max_examples=120)
def test_no_version_is_lower_than_a_rule_says(
    found: tuple[Candidate, ...], policy: Policy, zone: ZoneInfo, keep: bool
) -> None:
    """Against the rules said otherwise: a version is named if fewer than so many periods that have any are newer."""
    found = tuple(replace(c, made_at=min(c.made_at or NOW, NOW)) for c in found)
    plan = plan_of(found, policy, zone, keep_all=keep)
    counting = [c for c in found if not c.rejected and c.storage != "removed"]
    periods = {"keep_daily": "%Y-%m-%d", "keep_weekly": "%G-%V", "keep_monthly": "%Y-%m", "keep_yearly": "%Y"}

    def is_named(c: Candidate, rule: Rules) -> bool:
        newer = [o for o in counting if (o.made_at, o.version) > (c.made_at, c.version)]
        if len(newer) < rule.keep_last:
            return True
        for name, form in periods.items():
            own = c.made_at.astimezone(zone).strftime(form)
            theirs = {o.made_at.astimezone(zone).strftime(form) for o in newer}
            if own not in theirs and len(theirs) < getattr(rule, name):
                return True
        return False

    after = {v.version: v.after for v in plan.verdicts}
    for c in counting:
        for state, rule in (("full", policy.full), ("serving", policy.serving), ("archived", policy.archived)):
            if is_named(c, rule):
                assert rank(after[c.version]) >= min(rank(c.storage), rank(state))


@given(histories(), policies, ZONES, st.booleans(), st.sampled_from(["full", "serving", "archived"]), st.data())
@settings(max_examples=120)
def test_a_larger_number_never_lowers_a_version(
    found: tuple[Candidate, ...], policy: Policy, zone: ZoneInfo, keep: bool, state: str, data: st.DataObject
) -> None:
    rule = getattr(policy, state)
    name = data.draw(st.sampled_from(["keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"]))
    more = replace(policy, **{state: replace(rule, **{name: getattr(rule, name) + data.draw(st.integers(1, 3))})})
    before, after = (plan_of(found, p, zone, keep_all=keep).verdicts for p in (policy, more))
    for less_kept, more_kept in zip(before, after, strict=True):
        assert rank(more_kept.after) >= rank(less_kept.after)


@given(histories(), policies, limits | st.just(0), ZONES, st.booleans())
@settings(max_examples=120)
def test_what_was_carried_out_is_not_done_again(
    found: tuple[Candidate, ...], policy: Policy, limit: int, zone: ZoneInfo, keep: bool
) -> None:
    policy = replace(policy, max_total_bytes=limit)
    try:
        plan = plan_retention(found, policy, NOW, zone, keep_all_versions=keep)
    except MetahumanError:
        return
    again = plan_retention(carried_out(found, plan), policy, NOW, zone, keep_all_versions=keep)
    assert again.changes == ()
    assert (again.before_bytes, again.over_bytes) == (plan.after_bytes, plan.over_bytes)


def test_a_plan_that_would_remove_everything_is_refused() -> None:
    found = tuple(Candidate(n, NOW, "full", files=_files(n, HELD["full"])) for n in (1, 2))
    with pytest.raises(MetahumanError, match="would remove every version"):
        plan_retention(found, Policy(), NOW, UTC, keep_all_versions=False)


def test_a_policy_is_made_of_the_settings() -> None:
    retention = RetentionSettings(archived=KeepSettings(keep_yearly=2), max_total_gb=0.5)
    assert policy_of(retention) == Policy(Rules(1), Rules(3), Rules(keep_yearly=2), 500_000_000)


def test_a_policy_that_names_nothing_is_refused() -> None:
    nothing = RetentionSettings(
        full=KeepFullSettings(keep_last=0), serving=KeepServingSettings(keep_last=0), max_total_gb=10
    )
    with pytest.raises(ConfigError, match="names no version to keep") as refused:
        policy_of(nothing)
    assert "set full.keep_last or serving.keep_last to 1 or more" in str(refused.value)


@pytest.mark.parametrize("state", ["full", "serving", "archived"])
def test_one_rule_is_enough(state: str) -> None:
    kinds = {"full": KeepFullSettings, "serving": KeepServingSettings, "archived": KeepSettings}
    none = {name: kind(keep_last=0) for name, kind in kinds.items()}
    policy = policy_of(RetentionSettings(**{**none, state: kinds[state](keep_last=0, keep_monthly=1)}))
    assert getattr(policy, state).names_something


ERASE = ("it knows what was erased",)


def test_what_knows_what_was_erased_goes_whatever_protects_it() -> None:
    live = Candidate(3, NOW, "full", protected=("the live version",), files=_files(3, HELD["full"]))
    parent = Candidate(2, NOW, "full", protected=("the parent of the live version",), erase=ERASE)
    kept = Candidate(1, NOW, "archived", protected=("pinned",))
    plan = plan_retention(
        (kept, parent, live), Policy(Rules(9), Rules(9)), NOW, ZoneInfo("UTC"), keep_all_versions=True
    )
    assert [(v.after, v.erases) for v in plan.verdicts] == [("archived", False), ("removed", True), ("full", False)]
    assert plan.verdicts[1].reasons == (*ERASE, "although it is the parent of the live version")


def test_of_what_was_removed_before_the_texts_are_erased() -> None:
    live = Candidate(2, NOW, "full", protected=("the live version",))
    removed = Candidate(1, NOW, "removed", erase=ERASE)
    plan = plan_retention((removed, live), Policy(Rules(1)), NOW, ZoneInfo("UTC"), keep_all_versions=True)
    assert [(v.version, v.before, v.after, v.erases) for v in plan.changes] == [(1, "removed", "removed", True)]
