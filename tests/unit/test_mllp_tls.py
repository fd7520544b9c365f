"""MLLP over TLS: our sender and our listener, and who is not let in."""

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from health_connector_hl7.lib.mllp import wrap
from health_connector_hl7.lib.mllp_client import Sender, Timeouts, send
from loopback import Loopback, Peer

MESSAGE = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01|%b|P|2.5.1\rPID|1\r"
QUICK = Timeouts(2.0, 2.0, 3.0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def listener(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with Loopback(tls=context) as loopback:
        yield loopback


def test_messages_over_tls(listener, certificate):
    trusting = ssl.create_default_context(cafile=certificate)
    large = MESSAGE % b"big" + b"OBX|1|ED|" + b"A" * 3_000_000 + b"\r"
    with Sender("127.0.0.1", listener.port, QUICK, trusting) as sender:
        for number in range(5):
            assert sender.send(MESSAGE % b"C%d" % number).kind == "acked"
        assert sender.send(large).kind == "acked"
    assert len(listener.store.units) == 6
    assert listener.store.units[-1].raw == large


def test_a_certificate_that_is_not_trusted_is_no_connection(listener):
    outcome = send(
        "127.0.0.1", listener.port, MESSAGE % b"C1", QUICK, ssl.create_default_context()
    )
    assert (outcome.kind, outcome.detail) == ("no_connect", "tls")
    assert listener.store.units == []


def test_plain_text_is_not_taken_on_a_tls_port(listener):
    with Peer(listener.port) as peer:
        peer.send(wrap(MESSAGE % b"C1"))
        with pytest.raises((OSError, AssertionError)):
            assert peer.receive() is not None
    assert listener.store.units == []
