"""Fake leads: who they may be, and that a seed repeats them."""

import re
from typing import Any

import pytest

from fixtures.leads import AREA_CODES, PHONES, fake_lead, fake_leads, ping_part
from simulator.platforms.pingtree.buyer_wire import PII_FIELDS, looks_like_pii

PLATFORMS = ("pingtree", "leaddistro")


def phone_of(lead: dict[str, Any]) -> str:
    return str(lead.get("mobile") or lead["phone"])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_phone_number_is_reserved_for_fiction_and_of_the_leads_state(platform: str) -> None:
    for lead in fake_leads(platform, 300, 5):
        assert re.fullmatch(r"[2-9]\d\d55501\d\d", phone_of(lead))
        assert phone_of(lead)[:3] in AREA_CODES[lead["state"]].split()


def test_there_are_at_least_three_hundred_area_codes_and_none_twice() -> None:
    codes = " ".join(AREA_CODES.values()).split()
    assert len(codes) >= 300
    assert len(set(codes)) == len(codes)
    assert len(codes) * 100 == PHONES


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_person_comes_twice_in_a_batch(platform: str) -> None:
    leads = fake_leads(platform, 2000, 9)
    assert len({lead["email"] for lead in leads}) == 2000
    assert len({phone_of(lead) for lead in leads}) == 2000


def test_every_e_mail_address_is_at_an_example_domain() -> None:
    for lead in fake_leads("leaddistro", 300, 2):
        assert re.fullmatch(r"[a-z.]+\d+\.\d+@example\.(com|org|net)", lead["email"])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_seed_repeats_its_leads_in_a_batch_of_any_size(platform: str) -> None:
    assert fake_leads(platform, 5, 7) == fake_leads(platform, 20, 7)[:5]
    assert fake_lead(platform, seed=7) == fake_leads(platform, 1, 7)[0]
    assert fake_lead(platform, seed=8) != fake_lead(platform, seed=7)


def test_without_a_seed_leads_differ() -> None:
    assert len({fake_lead("leaddistro")["email"] for _ in range(5)}) == 5


def test_a_platform_without_fields_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        fake_lead("nobody")


def test_the_vendors_documented_fields_are_there() -> None:
    pingtree = fake_lead("pingtree", seed=1)
    assert {"state", "zip_code", "loan_amount", "credit_score", "home_owner", "sub1"} <= pingtree.keys()
    assert {
        "first_name",
        "last_name",
        "email",
        "mobile",
        "address",
        "city",
        "date_of_birth",
    } <= pingtree.keys()
    leaddistro = fake_lead("leaddistro", seed=1)
    assert {"first_name", "last_name", "phone", "email", "state"} <= leaddistro.keys()


def test_zip_codes_are_five_digits_and_differ_by_state() -> None:
    leads = fake_leads("pingtree", 400, 3)
    assert all(re.fullmatch(r"\d{5}", lead["zip_code"]) for lead in leads)
    assert {lead["zip_code"][0] for lead in leads if lead["state"] == "CA"} == {"9"}


def test_the_ping_part_carries_nothing_personal_and_all_that_bids_depend_on() -> None:
    for lead in fake_leads("pingtree", 100, 4):
        part = ping_part(lead)
        assert not PII_FIELDS & part.keys()
        assert not any(looks_like_pii(value) for value in part.values())
        assert {"state", "zip_code", "loan_amount", "credit_score", "home_owner"} <= part.keys()
        assert part.items() <= lead.items()
