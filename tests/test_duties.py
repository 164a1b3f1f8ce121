"""Duties: who does everything right passes each, and who breaks one fails that one and no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from simulator.contract.duty import Outcome, Severity
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason
from tests.scripting import SCRIPTS, LeadDistroScript, PingtreeScript

ALL = {f"D{number:02}" for number in (*range(1, 7), *range(10, 25), *range(30, 52), *range(60, 69), *range(70, 75))}
TRIGGERED = {"triggers": ("header: http_500",)}

Breach = Callable[[Any], object]


def checkable(platform: str) -> list[str]:
    duties = CONTRACTS[platform].duties
    assert duties is not None
    return [duty.id for duty in duties.catalogue if not duty.unseen]


def retried(script: Any, pauses: tuple[float, ...]) -> None:
    n = script.number()
    for pause in pauses:
        script.ping(n, Reason.INTERNAL_ERROR)
        script.wait(pause)
    script.ping(n)


def field_error(name: str, code: str = "invalid_format") -> dict[str, Any]:
    return {"errors": ((name, code, f"{name} must be otherwise"),)}


def resent(script: Any, **more: Any) -> None:
    """Send one full lead twice, `more` being how the first one goes."""
    n = script.number()
    name = script.ping(n)
    script.wait(5)
    send = script.post if isinstance(script, PingtreeScript) else script.ingest
    send(n, name, **more)
    send(n, name)


# --- Pingtree: one breach a duty ------------------------------------------------------------------------------


def pt_idle_pings(s: PingtreeScript) -> None:
    for _ in range(60):
        s.ping(s.number())


def pt_ping_too_soon(s: PingtreeScript) -> None:
    n = s.number()
    name = s.ping(n, shown=False, took=0.8, aside=True)
    s.post(n, name, Reason.PING_UNKNOWN)


def pt_form_of_a_ping(s: PingtreeScript) -> None:
    n = s.number()
    name = s.ping(n)
    s.wait(5)
    s.send("form", s.full(n, name), Reason.SOLD, transaction_id=name)


def pt_old_token(s: PingtreeScript) -> None:
    [old] = s.source.retired
    s.send("ping", s.attributes(1), Reason.UNAUTHORIZED, token=f"Bearer {old.credential}")


def pt_person_again(s: PingtreeScript) -> None:
    n, m = s.number(), s.number()
    s.lead(n)
    name = s.ping(m)
    s.wait(5)
    s.post(m, name, Reason.DUPLICATE, values=s.person(n))


def pt_at_the_same_time(s: PingtreeScript) -> None:
    n = s.number()
    name = s.ping(n)
    s.wait(5)
    s.post(n, name, took=0.5, aside=True)
    s.post(n, name, Reason.PING_USED)


def pt_one_shape_ignored(s: PingtreeScript) -> None:
    for _ in range(3):
        n = s.number()
        name = f"txn_own-{n:06}"
        answered = {"status": "201", "data": {"leadStatus": "ping_accept", "transaction_id": name, "new_key": 1}}
        s.ping(n, answered=answered)


def pt_event(s: PingtreeScript, reason: Reason) -> None:
    name = s.lead(reason=reason)
    s.wait(5)
    s.event("sale", name)


def pt_event_twice(s: PingtreeScript) -> None:
    name = s.lead()
    s.event("sale", name)
    s.wait(700)
    s.event("sale", name)


def pt_own_id_again(s: PingtreeScript) -> None:
    name = s.lead()
    n = s.number()
    s.send("ping", {**s.attributes(n), "transaction_id": name}, Reason.BID, transaction_id=name)


def pt_same_ping_again(s: PingtreeScript) -> None:
    n = s.number()
    s.ping(n, Reason.NO_BID)
    s.ping(n, Reason.NO_BID)


def pt_impatient(s: PingtreeScript) -> None:
    n = s.number()
    s.ping(n, fault="slow=3000")
    s.ping(n)


def pt_after_reject(s: PingtreeScript) -> None:
    n = s.number()
    name = s.ping(n, Reason.NO_BID)
    s.post(n, name, Reason.PING_REJECTED)


def pt_refused_again(s: PingtreeScript) -> None:
    n = s.number()
    name = s.lead(n, reason=Reason.UNSOLD)
    s.wait(2)
    s.post(n, name, Reason.PING_USED)


PINGTREE: dict[str, Breach] = {
    "D01": lambda s: s.lead(ping={"values": {"contact": "jane@example.com"}}, values={"contact": "jane@example.com"}),
    "D02": lambda s: s.lead(ping={"values": {"date_of_birth": "1986-05-04"}}),
    "D04": lambda s: s.ping(s.number(), Reason.INVALID_FIELD, values={"state": "Cal"}, **field_error("state")),
    "D05": lambda s: s.lead(ping={"values": {"zip_code": "00000"}}, values={"zip_code": "00000"}),
    "D06": lambda s: s.lead(
        values={"xxTrustedFormCertUrl": None, "trustedFormCertURL": "https://cert.trustedform.com/1"}
    ),
    "D10": pt_after_reject,
    "D11": lambda s: s.post(s.number(), "txn_of-nobody", Reason.PING_UNKNOWN),
    "D12": lambda s: s.lead(values={"transaction_id": "TXN_OWN-000099"}, n=99, reason=Reason.PING_UNKNOWN),
    "D13": lambda s: s.lead(after=301, reason=Reason.PING_EXPIRED),
    "D18": resent,
    "D19": pt_own_id_again,
    "D20": lambda s: s.lead(values={"loan_amount": None}),
    "D21": lambda s: s.lead(values={"state": "NY"}),
    "D22": pt_ping_too_soon,
    "D23": pt_idle_pings,
    "D24": pt_form_of_a_ping,
    "D30": lambda s: s.send(
        "ping", s.attributes(1), Reason.UNAUTHORIZED, token=f"Bearer {s.source.credentials['post']}"
    ),
    "D31": lambda s: s.send(
        "ping", s.attributes(1), Reason.UNAUTHORIZED, token=f"bearer  {s.source.credentials['ping']}"
    ),
    "D32": pt_old_token,
    "D33": lambda s: s.ping(s.number(), query=f"key={s.source.credentials['ping']}".encode()),
    "D34": lambda s: s.ping(s.number(), headers={"origin": "https://shop.example.com"}),
    "D36": lambda s: s.send("ping", None, Reason.WRONG_METHOD, method="PUT"),
    "D37": lambda s: s.send("ping", None, Reason.MALFORMED_BODY, body=b'{"state": "CA",}'),
    "D39": lambda s: s.send("ping", s.attributes(1), Reason.UNAUTHORIZED, path="/api/lead/ping/cmp_9z8y7x6w"),
    "D40": lambda s: pt_event(s, Reason.UNSOLD),
    "D41": lambda s: [s.ping(50, Reason.CAP_REACHED) for _ in range(2)],
    "D44": lambda s: retried(s, (1, 1, 1)),
    "D45": pt_impatient,
    "D46": lambda s: resent(s, fault="reset"),
    "D47": pt_person_again,
    "D48": pt_at_the_same_time,
    "D49": pt_one_shape_ignored,
    "D50": pt_refused_again,
    "D51": pt_same_ping_again,
    "D60": lambda s: s.lead(values={"tcpa_consent": None, "tcpa_consent_date": None}),
    "D61": lambda s: s.lead(after=0.5),
    "D62": lambda s: s.lead(values={"tcpa_consent_date": "2025-01-01"}),
    "D63": lambda s: s.lead(values={"mobile": "(212) 555-0123"}, reason=Reason.INVALID_FIELD, **field_error("mobile")),
    "D64": lambda s: s.lead(values={"is_test": True}),
    "D65": lambda s: pt_event(s, Reason.INTERNAL_ERROR),
    "D66": pt_event_twice,
    "D67": lambda s: s.send("*", None, Reason.UNKNOWN_PATH, path=s.click("txn_changed"), method="GET"),
}

# --- Lead Distro AI: one breach a duty ------------------------------------------------------------------------


def ld_altered(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.ping(n)
    s.ingest(n, token[:-4], Reason.PING_INVALID)


def ld_other_campaign(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.ping(n)
    s.ingest(n, token, Reason.PING_MISMATCH, values={"flo_campaign_id": "campaign_abc123"})


def ld_ping_too_soon(s: LeadDistroScript) -> None:
    n = s.number()
    direct = {"flo_campaign_id": "campaign_abc123"}
    s.ping(n, values=direct, took=0.8, aside=True)
    s.ingest(n, None, values=direct)


def ld_idle_pings(s: LeadDistroScript) -> None:
    for _ in range(80):
        s.ping(s.number())


def ld_after_reject(s: LeadDistroScript) -> None:
    n = s.number()
    s.ping(n, Reason.FILTERED)
    s.ingest(n, None, Reason.PING_MISSING)


def ld_person_again(s: LeadDistroScript) -> None:
    n, m = s.number(), s.number()
    s.lead(n)
    token = s.ping(m, values=s.person(n))
    s.ingest(m, token, Reason.DUPLICATE, values=s.person(n))


def ld_at_the_same_time(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.ping(n)
    s.ingest(n, token, took=0.5, aside=True)
    s.ingest(n, token, Reason.PING_USED)


def ld_one_shape_ignored(s: LeadDistroScript) -> None:
    for _ in range(3):
        answered = {"accepted": True, "ping_id": s.token(), "message": "Lead accepted", "new_key": 1}
        s.ping(s.number(), answered=answered)


def ld_impatient(s: LeadDistroScript) -> None:
    n = s.number()
    s.ping(n, fault="slow=3000")
    s.ping(n)


def ld_refused_again(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.lead(n, reason=Reason.UNMATCHED)
    s.ingest(n, token, Reason.PING_USED)


def ld_hasty(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.ping(n)
    s.ingest(n, token, Reason.RATE_LIMITED, triggers=("header: rate_limited",))
    s.ingest(n, token)


def ld_too_fast(s: LeadDistroScript) -> None:
    n = s.number()
    token = s.ping(n)
    s.ingest(n, token, Reason.RATE_LIMITED)
    s.wait(1.5)
    s.ingest(n, token)


LEADDISTRO: dict[str, Breach] = {
    "D03": lambda s: s.lead(ping={"values": {"first_name": "Jane"}}),
    "D04": lambda s: s.ping(s.number(), Reason.INVALID_FIELD, values={"state": "Texas"}, **field_error("state")),
    "D05": lambda s: s.lead(values={"last_name": "n/a"}),
    "D06": lambda s: s.lead(values={"zip_code": None, "zip": "77001"}),
    "D14": lambda s: s.lead(after=1801, reason=Reason.PING_EXPIRED),
    "D15": lambda s: s.ingest(s.number(), None, Reason.PING_MISSING),
    "D16": ld_other_campaign,
    "D17": ld_altered,
    "D18": resent,
    "D21": lambda s: s.lead(values={"state": "CA"}),
    "D22": ld_ping_too_soon,
    "D23": ld_idle_pings,
    "D33": lambda s: s.lead(ping={"query": f"key={s.source.credentials['api_key']}".encode()}),
    "D34": lambda s: s.lead(ping={"headers": {"sec-fetch-site": "cross-site"}}),
    "D37": lambda s: s.send("ping", None, Reason.MALFORMED_BODY, body=b"\xef\xbb\xbf{}"),
    "D38": lambda s: s.ping(s.number(), Reason.NOT_LINKED, values={"flo_campaign_id": "campaign_unlinked"}),
    "D40": ld_after_reject,
    "D41": lambda s: [s.ping(50, Reason.UNKNOWN_CAMPAIGN, **TRIGGERED) for _ in range(2)],
    "D42": ld_hasty,
    "D43": ld_too_fast,
    "D44": lambda s: retried(s, (0.01, 2)),
    "D45": ld_impatient,
    "D46": lambda s: resent(s, fault="truncated_body"),
    "D47": ld_person_again,
    "D48": ld_at_the_same_time,
    "D49": ld_one_shape_ignored,
    "D50": ld_refused_again,
    "D62": lambda s: s.lead(values={"tcpa_consent_date": "2026-06-01"}),
    "D63": lambda s: s.lead(values={"phone": "12"}, reason=Reason.INVALID_FIELD, **field_error("phone")),
    "D64": lambda s: s.lead(values={"testmode": "yes"}),
    "D71": lambda s: s.deliver("event-3", 401),
    "D72": lambda s: s.deliver("event-3", 200, 900),
    "D73": lambda s: s.deliver("event-2", 409),
}

BREACHES = {"pingtree": PINGTREE, "leaddistro": LEADDISTRO}
EACH = [(platform, duty) for platform in BREACHES for duty in checkable(platform)]


def regenerated(platform: str, duty: str) -> dict[str, Any]:
    return {"regenerated": ("lnk_dedupe", "ping")} if (platform, duty) == ("pingtree", "D32") else {}


@pytest.mark.parametrize("platform", SCRIPTS)
def test_every_duty_has_a_verdict_and_who_does_everything_right_passes_all_that_traffic_can_show(platform: str) -> None:
    script = SCRIPTS[platform]()
    script.well_behaved()
    outcomes = {name: verdict["outcome"] for name, verdict in script.verdicts().items()}
    seen = dict.fromkeys(checkable(platform), Outcome.PASS)
    assert outcomes == seen | dict.fromkeys(outcomes.keys() - seen.keys(), Outcome.NOT_SEEN)


@pytest.mark.parametrize(("platform", "duty"), EACH)
def test_who_breaks_one_duty_fails_that_one_and_no_other(platform: str, duty: str) -> None:
    script = SCRIPTS[platform](**regenerated(platform, duty))
    script.well_behaved()
    script.wait(700)
    assert script.broken() == set()
    BREACHES[platform][duty](script)
    verdict = script.verdicts()[duty]
    assert script.broken() == {duty}
    assert verdict["outcome"] == verdict["severity"]
    assert all(finding["requests"] for finding in verdict["findings"])


@pytest.mark.parametrize("platform", SCRIPTS)
def test_nothing_that_was_not_exercised_is_passed(platform: str) -> None:
    outcomes = {verdict["outcome"] for verdict in SCRIPTS[platform]().verdicts().values()}
    assert outcomes == {Outcome.NOT_SEEN}


def test_the_two_catalogues_hold_every_duty_and_say_of_each_how_it_is_seen_or_why_not() -> None:
    found = {name: {d.id: d for d in c.duties.catalogue} for name, c in CONTRACTS.items() if c.duties}
    assert set().union(*found.values()) == ALL
    for duty in (duty for duties in found.values() for duty in duties.values()):
        assert bool(duty.exercised_by) != bool(duty.unseen), duty.id
        assert duty.source, duty.id
    assert "D01" not in found["leaddistro"]  # C25: personal fields are usual in its pings
    assert found["pingtree"]["D01"].severity is Severity.FAIL


def test_personal_fields_in_a_ping_fail_at_pingtree_and_are_normal_at_lead_distro() -> None:
    pingtree, leaddistro = PingtreeScript(), LeadDistroScript()
    pingtree.ping(1, values={"email": "jane1@example.com", "mobile": "2125550123"})
    leaddistro.ping(1)
    assert pingtree.verdicts()["D01"]["outcome"] == Outcome.FAIL
    assert leaddistro.broken() == set()


def test_a_severity_of_the_users_counts_instead_of_the_catalogues() -> None:
    script = PingtreeScript()
    script.ping(1, values={"date_of_birth": "1986-05-04"})
    assert script.verdicts()["D02"]["outcome"] == Outcome.WARN
    assert script.verdicts(D02=Severity.FAIL)["D02"]["outcome"] == Outcome.FAIL
    assert script.verdicts(D02=Severity.OFF)["D02"]["findings"] == []
    assert script.verdicts(D02=Severity.OFF)["D02"]["outcome"] == Outcome.OFF


@pytest.mark.parametrize("platform", SCRIPTS)
def test_masked_bodies_pass_no_duty_that_needs_their_values(platform: str) -> None:
    script = SCRIPTS[platform](mask_bodies=True)
    script.well_behaved()
    duties = CONTRACTS[platform].duties
    assert duties is not None
    verdicts = script.verdicts()
    for duty in duties.catalogue:
        verdict = verdicts[duty.id]
        assert verdict["findings"] == [], duty.id
        if duty.needs_values:
            assert verdict["outcome"] == Outcome.NOT_SEEN, duty.id
            assert "--mask-bodies" in verdict["reason"], duty.id
    assert verdicts["D41"]["outcome"] == verdicts["D33"]["outcome"] == Outcome.PASS


def test_a_masked_post_after_a_reject_is_still_found_by_the_answer_that_it_got() -> None:
    script = PingtreeScript(mask_bodies=True)
    pt_after_reject(script)
    assert "D10" in script.broken()


def test_a_body_that_is_too_long_to_be_kept_is_not_judged_and_takes_no_pass_away() -> None:
    script = PingtreeScript()
    script.ping(1)
    script.ping(2, values={"first_name": "Jane", "note": "x" * 20_000})
    assert script.verdicts()["D01"]["outcome"] == Outcome.PASS
    assert script.broken() == set()


def test_what_a_trigger_wished_for_is_not_held_against_the_client() -> None:
    script = PingtreeScript()
    wished = ("header: PT-PING-400-MISSING",)
    script.ping(1, Reason.MISSING_FIELD, triggers=wished, errors=(("state", "required", "state is required"),))
    assert script.broken() == set()


def test_a_lead_that_was_looked_up_after_no_answer_is_not_sent_again_blindly() -> None:
    script = LeadDistroScript()
    n = script.number()
    token = script.ping(n)
    script.ingest(n, token, fault="reset")
    script.send("lookup", None, Reason.FOUND, query=b"phone=2015550101")
    script.ingest(n, token)
    assert script.broken() == set()


def test_the_duplicate_window_ends() -> None:
    script = PingtreeScript()
    pt_person_again(script)
    assert "D47" in script.broken()
    later = PingtreeScript()
    later.lead(1)
    later.wait(31 * 86400)
    name = later.ping(2)
    later.wait(5)
    later.post(2, name, values=later.person(1))
    assert later.broken() == set()


def test_a_finding_names_its_requests_and_counts_those_beyond_its_list() -> None:
    script = PingtreeScript()
    for n in range(150):
        script.ping(n, values={"first_name": "Jane"})
    [finding] = script.verdicts()["D01"]["findings"]
    assert finding["count"] == 150
    assert len(finding["requests"]) == 100
    assert finding["detail"] == "in the ping: first_name"


def calls_to_grade(platform: str, leads: int) -> int:
    script = SCRIPTS[platform]()
    breaches = [breach for duty, breach in BREACHES[platform].items() if duty not in {"D23", "D32", "D12", "D11"}]
    for n in range(leads):
        script.lead()
        if n % 10 == 0:
            breaches[n // 10 % len(breaches)](script)
    made = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal made
        made += event == "call"

    sys.setprofile(count)
    try:
        script.verdicts()
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("platform", SCRIPTS)
def test_grading_twice_as_much_traffic_is_not_much_more_than_twice_the_work(platform: str) -> None:
    assert calls_to_grade(platform, 800) < 2.5 * calls_to_grade(platform, 400)
