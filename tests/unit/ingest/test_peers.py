"""Who may associate: the rules of ``dimse.accept``."""

import pytest

from osler.errors import ConfigError
from osler.ingest.peers import AcceptList, Peer, plain_address


@pytest.mark.parametrize(
    ("entries", "title", "address", "allowed"),
    [
        (["*@127.0.0.1"], "ANY", "127.0.0.1", True),
        (["*@127.0.0.1"], "ANY", "::1", True),
        (["*@localhost"], "ANY", "::1", True),
        (["*@127.0.0.1"], "ANY", "127.0.0.2", False),
        (["*@127.0.0.1"], "ANY", "10.0.0.1", False),
        (["PACS@10.0.0.5"], "PACS", "10.0.0.5", True),
        (["PACS@10.0.0.5"], "OTHER", "10.0.0.5", False),
        (["PACS@10.0.0.5"], "PACS", "10.0.0.6", False),
        (["PACS@10.0.0.5"], "ANY", "127.0.0.1", False),
        (["CT@10.1.0.0/16"], "CT", "10.1.200.3", True),
        (["CT@10.1.7.9/16"], "CT", "10.1.200.3", True),
        (["CT@10.1.0.0/16"], "CT", "10.2.0.1", False),
        (["CT@2001:db8::/32"], "CT", "2001:db8::7", True),
        (["CT@[2001:db8::7]"], "CT", "2001:db8::7", True),
        (["CT@2001:db8::/32"], "CT", "10.0.0.1", False),
        (["A@B@10.0.0.1"], "A@B", "10.0.0.1", True),
        (["pacs@10.0.0.5"], "PACS", "10.0.0.5", False),
        (["A@10.0.0.1", "B@10.0.0.2"], "B", "10.0.0.2", True),
        (["A@10.0.0.1", "B@10.0.0.2"], "B", "10.0.0.1", False),
        ([], "ANY", "127.0.0.1", False),
    ],
)
def test_who_may_associate(entries: list[str], title: str, address: str, allowed: bool) -> None:
    assert AcceptList(entries).allows(Peer(title, address)) is allowed


@pytest.mark.parametrize(
    "entry", ["PACS", "@10.0.0.1", "PACS@", "PACS@pacs.example", "P" * 17 + "@10.0.0.1", "A@1.2.3"]
)
def test_an_entry_of_another_form_stops_the_start(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"dimse\.accept"):
        AcceptList([entry])


@pytest.mark.parametrize(
    ("address", "plain"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1")],
)
def test_an_address_has_one_form(address: str, plain: str) -> None:
    assert plain_address(address) == plain
