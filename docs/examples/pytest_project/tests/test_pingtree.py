import pytest


def test_a_lead_that_a_buyer_wants_is_sold_at_the_price_of_the_ping(pingtree, tenant, lead, consent):
    outcome = pingtree.submit(lead, consent)
    assert (outcome.status, outcome.amount) == ("accepted", "45.00")
    [kept] = tenant.leads()
    assert kept["phone"] == lead["mobile"]


def test_after_a_rejected_ping_nothing_is_posted(pingtree, tenant, lead):
    tenant.trigger("no_bid", operation="ping")
    assert pingtree.submit(lead).status == "ping_reject"
    assert [entry["operation"] for entry in tenant.requests] == ["ping"]
    tenant.assert_duties_met("D10")


def test_a_sale_that_every_buyer_refuses_after_the_ping_is_no_sale(pingtree, tenant, lead, consent):
    tenant.trigger("post_reject", operation="post")
    assert pingtree.submit(lead, consent).status == "unsold"
    assert len(tenant.requests.where(operation="post")) == 1


def test_an_outage_is_waited_for(pingtree, tenant, lead, consent):
    tenant.trigger("http_500", operation="ping", count=2)
    assert pingtree.submit(lead, consent).status == "accepted"
    assert [entry["http"] for entry in tenant.requests] == [500, 500, 201, 201]


@pytest.mark.parametrize("number", range(8))
def test_the_same_person_in_two_tests_is_no_duplicate(pingtree, tenant, lead, consent, number):
    lead["sub1"] = f"test-{number}"
    assert pingtree.submit(lead, consent).status == "accepted"
    assert [kept["values"]["sub1"] for kept in tenant.leads()] == [f"test-{number}"]


def test_what_the_client_sends_keeps_the_duties_of_a_source(pingtree, tenant, lead, consent):
    pingtree.submit(lead, consent)
    tenant.assert_duties_met("D01", "D12", "D20")
