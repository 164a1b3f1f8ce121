"""Tenants as they were saved: read again quickly, and no less strictly."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.clock import Clock
from simulator.configuration.loading import ConfigurationError
from simulator.dice import Dice
from simulator.originals import built_in, posted, restored

BUYERS = [{"id": "b1", "price": 5}]
CAMPAIGN = {"id": "c1", "distribution": "round_robin", "buyers": BUYERS}
SMALL: dict[str, Any] = {
    "leaddistro": {"suppliers": [{"id": "s1", "api_key": "key_1", "campaigns": ["c1"]}], "campaigns": [CAMPAIGN]}
}


def saved(sandbox: dict[str, Any]) -> dict[str, Any]:
    since = datetime(2026, 3, 1, tzinfo=UTC).isoformat()
    return {"clock": asdict(Clock().state()), "dice": Dice(1).state(), "since": since, "sandbox": sandbox}


@pytest.mark.parametrize("sandbox", [posted(SMALL), built_in()], ids=["small", "built-in"])
def test_a_saved_sandbox_is_read_again_as_it_was(sandbox: Any) -> None:
    document = sandbox.model_dump(mode="json", by_alias=True)
    assert restored("t", saved(document)).sandbox == sandbox == posted(document)


def test_tenants_that_are_alike_share_what_was_read() -> None:
    document = posted(SMALL).model_dump(mode="json", by_alias=True)
    assert restored("a", saved(document)).sandbox is restored("b", saved(document)).sandbox


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"unheard_of": 1}, "unheard_of"),
        ({"leaddistro": {**SMALL["leaddistro"], "campaigns": [CAMPAIGN | {"id": "c2"}]}}, "c1"),
    ],
    ids=["a key that is not known any more", "a name that nothing has"],
)
def test_what_is_not_sound_any_more_is_said_as_if_it_were_posted(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as restoring:
        restored("t", saved(SMALL | broken))
    with pytest.raises(ConfigurationError) as posting:
        posted(SMALL | broken)
    assert str(restoring.value) == str(posting.value)
