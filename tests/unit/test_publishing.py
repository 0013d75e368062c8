"""What the audit says of a destination."""

import pytest

from osler.config import Destination
from osler.hub.publishing import host_of


@pytest.mark.parametrize(
    ("destination", "host"),
    [
        (
            Destination("pager", "webhook", url="https://u:CANARY@pager.example:8443/CANARY"),
            "pager.example",
        ),
        (Destination("pacs", "dicom", address="192.0.2.7:104", ae_title="PACS"), "192.0.2.7:104"),
    ],
)
def test_a_destination_is_named_by_its_host_alone(destination: Destination, host: str) -> None:
    assert host_of(destination) == host
