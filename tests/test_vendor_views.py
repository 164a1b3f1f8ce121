"""The views of vendors' calls, where only the inside of the process shows what is asked: no server here."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from simulator.app import create
from simulator.recording import Recorder
from simulator.settings import Settings
from simulator.web.plain import Application

SANDBOX = {
    "leaddistro": {
        "suppliers": [{"id": "s", "api_key": "k", "campaigns": ["c"]}],
        "campaigns": [{"id": "c", "buyers": [{"id": "b", "price": 45}]}],
    }
}
LEAD = {"flo_campaign_id": "c", "flo_supplier_id": "s", "state": "TX"}
HEADERS = {"x-api-key": "k"}
PING = "/api/v1/ping"


@pytest.fixture
def app(tmp_path: Path) -> Application:
    file = tmp_path / "sandbox.yaml"
    file.write_text(yaml.safe_dump(SANDBOX))
    return create(Settings(database=":memory:", config=file))


def test_an_answer_that_cannot_be_written_down_is_given_all_the_same(
    app: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("no journal")

    client = app.test_client()
    good = client.post(PING, json=LEAD, headers=HEADERS)
    monkeypatch.setattr(Recorder, "answered", fail)
    for _ in range(2):
        answer = client.post(PING, json=LEAD, headers=HEADERS)
        assert answer.status_code == good.status_code == 200
        assert answer.get_json().keys() == good.get_json().keys()
        assert "X-Sandbox-Request-Id" not in answer.headers
    assert "no journal" in caplog.text


def test_a_body_of_which_only_a_part_came_is_no_lead(app: Application) -> None:
    body = "flo_campaign_id=c&flo_supplier_id=s&state=TX"
    client = app.test_client()
    for _ in range(2):
        answer = client.post(
            PING,
            data=body,
            content_type="application/x-www-form-urlencoded",
            headers=HEADERS,
            # What a server says that ends the stream itself, and takes a caller that is gone for its end.
            environ_overrides={"CONTENT_LENGTH": str(len(body) + 9), "wsgi.input_terminated": True},
        )
        assert answer.status_code == 400
        assert "not complete" in answer.text


def test_more_places_than_are_remembered_are_answered_alike(app: Application) -> None:
    client = app.test_client()
    asked = [
        client.post("/api/lead/ping/lnk_x", json={}, base_url=f"http://h{n}.example").status_code for n in range(1100)
    ]
    assert set(asked) == {401}
    assert client.post("/api/lead/ping/lnk_x", json={}, base_url="http://h0.example").status_code == 401
