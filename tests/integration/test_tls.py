"""TLS on each door and towards peers: real handshakes, real peers, certificates of an authority of our own."""

import datetime
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.data import get_testdata_file
from pynetdicom import AE, evt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from osler.config import Config, load
from osler.domain.events import Received
from osler.errors import ConfigError, PeerUnavailable
from osler.hub.web import WebServer
from osler.ingest.dimse import AcceptList, Peer, StorageScp
from osler.ingest.folder import Outcome, send
from osler.ingest.mllp import MllpListener
from osler.publish import mllp_sender, store_scu
from osler.tls import ServerTls, client_context, expiry

NOW = datetime.datetime.now(datetime.UTC)
CT = get_testdata_file("CT_small.dcm")


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, folder: Path, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key.public_key(), name, key, days=10, authority=True)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, name, key, certificate)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, *, days: int = 10) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key.public_key(), self.name, self.key, days=days)
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _certificate(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    days: int,
    authority: bool = False,
) -> x509.Certificate:
    def called(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    start = NOW - datetime.timedelta(days=20)
    builder = x509.CertificateBuilder(called(issuer), called(name), public, x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(NOW + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256())


@dataclass(frozen=True)
class Site:
    """The files of a site, and its configuration."""

    authority: Authority
    stranger: Authority
    folder: Path

    def config(self, *, doors: tuple[str, ...] = ("dimse", "http", "mllp"), demand: tuple[str, ...] = ()) -> Config:
        certificate, key = self.folder / "hub.crt", self.folder / "hub.key"
        return load(
            {},
            data_dir=self.folder,
            given={
                "tls.certificate": str(certificate),
                "tls.key": str(key),
                "tls.authorities": str(self.authority.file),
                "tls.doors": list(doors),
                "tls.demand": list(demand),
            },
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority.new(folder, "hospital")
    authority.issue("hub")
    authority.issue("scanner")
    authority.issue("late", days=-1)
    return Site(authority, Authority.new(folder, "stranger"), folder)


class Watch:
    """What the DICOM node says of its connections."""

    def __init__(self) -> None:
        self.aborted: list[str] = []
        self.told = threading.Event()

    def association_aborted(self, peer: Peer, reason: str) -> None:
        self.aborted.append(reason)
        self.told.set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **named: None


@pytest.fixture
def node(site: Site) -> Iterator[Callable[[Config], tuple[StorageScp, list[Received], Watch]]]:
    running: list[StorageScp] = []

    def start(config: Config) -> tuple[StorageScp, list[Received], Watch]:
        received: list[Received] = []
        watch = Watch()
        scp = StorageScp(
            received.append,
            address=("localhost", 0),
            ae_title="OSLER",
            peers=AcceptList(["*@127.0.0.1", "*@::1"]),
            observer=watch,
        )
        scp.start(ServerTls(config, "dimse"))
        running.append(scp)
        return scp, received, watch

    yield start
    for scp in running:
        scp.stop()


def test_files_go_over_tls(site: Site, node: Callable[[Config], tuple[StorageScp, list[Received], Watch]]) -> None:
    config = site.config(demand=("dimse",))
    scp, received, _ = node(config)

    report = send([Path(str(CT))], address=("localhost", scp.port), tls=client_context(config))

    assert [file.outcome for file in report.files] == [Outcome.SENT]
    assert len(received) == 1


def test_dcmtk_sends_over_tls(
    site: Site, node: Callable[[Config], tuple[StorageScp, list[Received], Watch]], need: Callable[..., str]
) -> None:
    scp, received, _ = node(site.config(demand=("dimse",)))
    mine = [str(site.folder / "scanner.key"), str(site.folder / "scanner.crt")]
    trust = ["+cf", str(site.authority.file)]

    done = subprocess.run(
        [need("storescu"), "-aec", "OSLER", "+tls", *mine, *trust, "localhost", str(scp.port), str(CT)],
        capture_output=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    assert len(received) == 1


def _old(context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1


REFUSED: list[tuple[str, Callable[[Site], ssl.SSLContext | None]]] = [
    ("in clear", lambda site: None),
    ("without a certificate", lambda site: _plain(site)),
    ("of a stranger", lambda site: _plain(site, site.stranger.issue("intruder"))),
    ("out of date", lambda site: _plain(site, (site.folder / "late.crt", site.folder / "late.key"))),
    ("TLS 1.1", lambda site: _plain(site, (site.folder / "scanner.crt", site.folder / "scanner.key"), change=_old)),
    (
        "a cipher without forward secrecy",
        lambda site: _plain(site, (site.folder / "scanner.crt", site.folder / "scanner.key"), change=_weak),
    ),
]


def _weak(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0")


def _plain(
    site: Site, files: tuple[Path, Path] | None = None, change: Callable[[ssl.SSLContext], None] = lambda context: None
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(site.authority.file))
    if files:
        context.load_cert_chain(*files)
    change(context)
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the old versions, which are asked for here to be refused
@pytest.mark.parametrize(("peer", "context"), REFUSED, ids=[row[0] for row in REFUSED])
def test_the_door_is_shut_to(
    site: Site,
    node: Callable[[Config], tuple[StorageScp, list[Received], Watch]],
    peer: str,
    context: Callable[[Site], ssl.SSLContext | None],
) -> None:
    scp, received, watch = node(site.config(demand=("dimse",)))

    with pytest.raises(PeerUnavailable):
        send([Path(str(CT))], address=("localhost", scp.port), tls=context(site))

    assert watch.told.wait(10)
    assert watch.aborted == ["tls-handshake"]
    assert not received


def test_we_believe_no_pacs_without_a_certificate_for_its_host(site: Site) -> None:
    intruder = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    intruder.load_cert_chain(*site.stranger.issue("pacs"))
    entity = AE("PACS")
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(("localhost", 0), block=False, ssl_context=intruder)
    try:
        with pytest.raises(PeerUnavailable, match="no TLS that we trust: unable to get local issuer certificate"):
            send([Path(str(CT))], address=("localhost", server.server_address[1]), tls=client_context(site.config()))
    finally:
        server.shutdown()


def test_results_go_to_a_pacs_over_tls(site: Site) -> None:
    import pydicom

    from osler.config import Destination

    stored: list[str] = []
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(site.folder / "hub.crt", site.folder / "hub.key")
    one = pydicom.dcmread(str(CT))
    entity = AE("PACS")
    entity.add_supported_context(one.SOPClassUID)

    def keep(event: evt.Event) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    server = entity.start_server(
        ("localhost", 0), block=False, ssl_context=trusted, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    destination = Destination("pacs", "dicom", f"localhost:{server.server_address[1]}", ae_title="PACS", tls=True)
    try:
        store_scu.store([one], destination, calling_ae_title="OSLER", tls=client_context(site.config()))
        with pytest.raises(PeerUnavailable):
            store_scu.store([one], destination, calling_ae_title="OSLER")
    finally:
        server.shutdown()
    assert stored == [one.SOPInstanceUID]


def test_messages_go_over_tls(site: Site) -> None:
    from osler.config import Destination

    config = site.config(demand=("mllp",))
    refused: list[str] = []
    listener = MllpListener(
        lambda message, address: b"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AA|77\r",
        address=("localhost", 0),
        allowed=["127.0.0.1", "::1"],
        refused=lambda reason, address: refused.append(reason),
        tls=ServerTls(config, "mllp"),
    )
    listener.start()
    destination = Destination("lis", "hl7v2", f"localhost:{listener.port}", tls=True)
    try:
        told = mllp_sender.send(b"MSH|^~\\&|\r", destination, control_id="77", tls=client_context(config))
        with pytest.raises(PeerUnavailable):
            mllp_sender.send(b"MSH|^~\\&|\r", destination, control_id="77")
    finally:
        listener.stop()
    assert told.reference == "77"
    assert refused == ["tls-handshake"]


def test_pages_come_over_tls_and_a_renewed_certificate_is_taken(site: Site, tmp_path: Path) -> None:
    for end in ("crt", "key"):
        (tmp_path / f"hub.{end}").write_bytes((site.folder / f"hub.{end}").read_bytes())
    own = Site(site.authority, site.stranger, tmp_path)
    config = own.config(doors=("http",))
    assert config.base_url.startswith("https://")
    tls = ServerTls(config, "http")

    async def scheme(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.scheme)

    server = WebServer(Starlette(routes=[Route("/", scheme)]), "127.0.0.1:0", tls=tls)
    server.start()
    url = server.url.replace("127.0.0.1", "localhost")
    trust = ssl.create_default_context(cafile=str(site.authority.file))
    try:
        assert httpx.get(url, verify=trust).text == "https"
        before = _shown(url)
        assert not tls.refresh()
        again = site.authority.issue("renewed")
        for old, new in zip(("hub.crt", "hub.key"), again, strict=True):
            (tmp_path / old).write_bytes(new.read_bytes())
            os.utime(tmp_path / old, ns=(1, 1))
        assert tls.refresh()
        assert _shown(url) != before
        (tmp_path / "hub.crt").write_bytes(b"half")
        with pytest.raises(ConfigError):
            tls.refresh()
        assert httpx.get(url, verify=trust).text == "https"
    finally:
        server.stop()


def _shown(url: str) -> str:
    host, port = url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


def test_who_says_nothing_is_not_waited_for_by_the_others(site: Site) -> None:
    config = site.config()
    listener = MllpListener(
        lambda message, address: b"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AA|1\r",
        address=("localhost", 0),
        allowed=["127.0.0.1", "::1"],
        tls=ServerTls(config, "mllp"),
    )
    listener.start()
    from osler.config import Destination

    destination = Destination("lis", "hl7v2", f"localhost:{listener.port}", tls=True)
    with socket.create_connection(("localhost", listener.port)) as silent:
        told = mllp_sender.send(b"MSH|^~\\&|\r", destination, control_id="1", tls=client_context(config))
        silent.shutdown(socket.SHUT_RDWR)
    listener.stop()
    assert told.reference == "1"


WRONG = [
    ({"tls.doors": ["http"]}, "needs tls.certificate and tls.key"),
    ({"tls.doors": ["ftp"]}, "must be some of dimse, http, mllp"),
    ({"tls.demand": ["http"]}, "must be some of tls.doors"),
    ({"tls.key": "x"}, "needs tls.certificate"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=[row[1] for row in WRONG])
def test_settings_that_cannot_be_meant(tmp_path: Path, given: dict[str, str | list[str]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load({}, data_dir=tmp_path, given=given)


def test_files_that_cannot_be_used(site: Site, tmp_path: Path) -> None:
    (tmp_path / "hub.crt").write_bytes((site.folder / "hub.crt").read_bytes())
    (tmp_path / "hub.key").write_bytes((site.folder / "scanner.key").read_bytes())
    with pytest.raises(ConfigError, match=r"key values mismatch"):
        ServerTls(Site(site.authority, site.stranger, tmp_path).config(), "http")
    with pytest.raises(ConfigError, match="holds no certificate"):
        expiry(tmp_path / "hub.key")
    assert (expiry(site.folder / "hub.crt") - NOW).days in (9, 10)
