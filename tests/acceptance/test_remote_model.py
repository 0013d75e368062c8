"""A hub whose model runs elsewhere: de-identified tensors out over TLS, results back to chart and PACS."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pydicom

from acceptance.running import RunningHub, destination_pacs, eventually, radiograph
from far_model import install_far
from inference_server import InferenceServer
from osler.ingest.folder import send
from osler.testing.peers import Pacs
from tls_authority import Authority


def test_a_model_elsewhere_reads_and_a_hostile_answer_alarms(
    make_hub: Callable[..., RunningHub], pacs: Pacs, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    server = InferenceServer(context)
    models = install_far(tmp_path / "far", server.url)
    settings = (
        f'[models]\nenabled = ["far"]\nfolders = ["{models}"]\nendpoint_hosts = ["localhost = BAA 2026-17"]\n'
        f'[tls]\nauthorities = "{authority.file}"\n[queue]\nbackoff_s = 0.2\n'
    )
    hub = make_hub(settings + destination_pacs(pacs.address, "PACS"), fake_model=False).start()
    try:
        source = radiograph(tmp_path / "study")
        send([source], address=("127.0.0.1", hub.dimse_port))
        hub.settled(2)
        (path,) = pacs.folder.glob("*.dcm")
        assert pydicom.dcmread(path).StudyInstanceUID == pydicom.dcmread(source).StudyInstanceUID
        asked = hub.json("audit", "search", "--event", "endpoint-asked")
        assert "BAA 2026-17" in json.dumps(asked)
        sent = json.dumps(server.questions)
        assert not any(word in sent for word in ("2.25.", "OSL-", "MRN", "Doe"))

        server.twist = lambda answer: answer | {"id": "0" * 32}
        send([radiograph(tmp_path / "other", PatientID="MRN-2")], address=("127.0.0.1", hub.dimse_port))
        eventually(lambda: hub.json("queue", "list", "--state", "dead"), "the job waits for a person")
        assert hub.json("audit", "search", "--event", "reply-refused")
        assert len(hub.settled(2)) == 2
    finally:
        server.close()
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True
