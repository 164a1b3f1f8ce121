"""The clients under test, each with the credentials of the test's own tenant."""

from datetime import timedelta

import pytest

from fixtures import LEAD
from leadclient import LeadDistro, Pingtree


@pytest.fixture
def pingtree(tenant):
    source = tenant.source("lnk_abc123xyz")
    return Pingtree(tenant.base_url, source.name, source.credentials["ping"], source.credentials["post"])


@pytest.fixture
def leaddistro(tenant):
    supplier = tenant.source("supplier_xyz789")
    return LeadDistro(tenant.base_url, supplier.credentials["api_key"], "campaign_pingpost", supplier.id)


@pytest.fixture
def consent(sandbox_clock):
    given = sandbox_clock.now() - timedelta(minutes=1)
    return {"tcpa_consent": "yes", "tcpa_consent_date": given.isoformat()}


@pytest.fixture
def lead():
    return dict(LEAD)
