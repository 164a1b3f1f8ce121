"""What can be done inside a transaction, by name. Who has one, and when, is `store.py`'s."""

from __future__ import annotations

from simulator.store import claims, credentials, dispatch, events, notes, outbox, peers, snapshots, tenants
from simulator.store import faults as fault_table
from simulator.store import leads as lead_table
from simulator.store import pings as ping_table
from simulator.store.connection import Connection


class Transaction(Connection):
    """Everything that can be done inside `Store.transaction`; reads see what it wrote."""

    regenerate = credentials.regenerate
    revoke = credentials.revoke
    credential = credentials.credential
    generation = credentials.generation
    credentials = credentials.credentials_of

    remembered = notes.remembered

    add_ping = ping_table.add_ping
    ping = ping_table.ping
    claim_ping = ping_table.claim_ping
    hold = ping_table.hold
    held = ping_table.held
    settle_ping = ping_table.settle_ping
    reopen_ping = ping_table.reopen_ping
    release_unsettled = ping_table.release_unsettled
    release_ping = ping_table.release_ping

    add_lead = lead_table.add_lead
    set_lead_status = lead_table.set_lead_status
    lead_to_change = lead_table.lead_to_change
    set_lead_values = lead_table.set_lead_values
    lead = lead_table.lead
    leads = lead_table.leads_of
    count_leads = lead_table.count_leads

    claim_persons = claims.claim_persons
    find_person = claims.find_person
    set_person_buyer = claims.set_person_buyer
    correct_person_buyer = claims.correct_person_buyer
    release_persons = claims.release_persons
    take = claims.take
    give_back = claims.give_back
    usage = claims.usage
    next_turn = claims.next_turn
    redeem = claims.redeem

    claim_event = events.claim_event

    add_delivery = outbox.add_delivery
    delivery = outbox.delivery
    claim_deliveries = dispatch.claim_deliveries
    record_attempt = outbox.record_attempt
    release_own_deliveries = dispatch.release_own_deliveries
    replay = outbox.replay

    reset = tenants.reset
    save_tenant = tenants.save_tenant
    keep_tenant = tenants.keep_tenant
    unsave_tenant = tenants.unsave_tenant
    forget_tenant = tenants.forget_tenant

    faults = fault_table.faults_of
    add_fault = fault_table.add_fault
    fire_fault = fault_table.fire_fault
    remove_faults = fault_table.remove_faults

    join = peers.join
    leave = peers.leave
    bury = peers.bury
    release_work = peers.release_work

    take_snapshot = snapshots.take_snapshot
    restore_snapshot = snapshots.restore_snapshot
    delete_snapshot = snapshots.delete_snapshot

    def changed(self, tenant: str) -> int:
        """Note for the other simulators that a tenant was changed; return its number, 0 where there are none."""
        return peers.changed(self, tenant) if self.simulator else 0
