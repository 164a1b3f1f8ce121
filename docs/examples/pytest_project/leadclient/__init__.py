"""Sends leads to Pingtree (ping, then post) and to Lead Distro AI (ingest). The code under test."""

from leadclient.leaddistro import LeadDistro
from leadclient.pingtree import Outcome, Pingtree

__all__ = ["LeadDistro", "Outcome", "Pingtree"]
