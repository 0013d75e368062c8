"""An instance that would fill the vault waits for a person, and is told soon."""

import gc
import time

import pytest

from osler.deidentify.dicom import PreparedInstance
from osler.errors import DeidentificationRefused
from osler.testing.studies import image, part10

IRRADIATION_EVENT_UID = 0x00083010
MOST = 100_000


def with_uids(value: bytes) -> bytes:
    """Return an image with a value of Irradiation Event UID, in implicit VR, where its length has no limit."""
    dataset = image("CR")
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    dataset.add_new(IRRADIATION_EVENT_UID, "UI", value.decode().split("\\"))
    return part10(dataset)


def test_many_uids_pass_in_a_second() -> None:
    content = with_uids(b"\\".join(b"1.2.3.%d" % number for number in range(MOST - 10)))
    gc.collect()
    gc.freeze()  # what thousands of other tests left in this process is not looked through on this one's time
    try:
        began = time.process_time()
        prepared = PreparedInstance(content)
        assert time.process_time() - began < 1
    finally:
        gc.unfreeze()
    assert MOST - 10 < len(prepared.identities) <= MOST + 2


@pytest.mark.parametrize(
    "value",
    [b"\\".join(b"1.2.3.%d" % number for number in range(MOST + 1)), b"\\".join([b"1.2.3"] * 150_000)],
    ids=["different", "the same"],
)
def test_a_flood_of_uids_is_refused_in_a_second(value: bytes) -> None:
    content = with_uids(value)
    began = time.process_time()
    with pytest.raises(DeidentificationRefused) as refused:
        PreparedInstance(content)
    assert time.process_time() - began < 1
    assert refused.value.rule == "uids"
