from datetime import timedelta

LEAD = {"first_name": "John", "last_name": "Doe", "phone": "2125550124", "email": "john@example.com", "state": "TX"}


def test_a_lead_is_pinged_and_then_ingested(leaddistro, tenant):
    assert leaddistro.submit(LEAD) == "ACCEPTED"
    assert [entry["operation"] for entry in tenant.requests] == ["ping", "ingest"]


def test_the_same_person_is_a_duplicate_for_thirty_days(leaddistro, tenant, sandbox_clock):
    assert leaddistro.submit(LEAD) == "ACCEPTED"
    assert leaddistro.submit(LEAD) == "DUPLICATE"
    sandbox_clock.advance(timedelta(days=31))
    assert leaddistro.submit(LEAD) == "ACCEPTED"


def test_a_rate_limit_is_waited_for_as_long_as_the_platform_asks(leaddistro, tenant):
    tenant.trigger("rate_limited", operation="ping")
    assert leaddistro.submit(LEAD) == "ACCEPTED"
    tenant.assert_duties_met("D42")
