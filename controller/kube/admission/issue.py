"""Makes certificates, as a program of its own: `python -m controller.kube.admission.issue` with orders on stdin.

The cryptography package costs 45 ms and 18 MiB once it is imported; here a child pays that, some times a year, and the
controller never. Orders and answers are JSON, so that keys are on no command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from controller.kube.admission.ring import Certificate, Lives, Ring, renewed

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY = "Cloudbase webhooks"
SECONDS = 60.0  # that the program may take
SKEW = 300.0  # seconds that another machine's clock may be behind


class Order(msgspec.Struct, frozen=True):
    """A ring to bring up to date, as by `ring.renewed`."""

    ring: Ring
    names: tuple[str, ...]  # DNS names and addresses
    now: float
    lives: Lives


class IssueFailed(Exception):
    """The program did not give certificates; carries what it said."""


async def ordered(order: Order) -> Ring:
    """The ring, renewed by the program. Raises IssueFailed, and TimeoutError after SECONDS."""
    arguments = (sys.executable, "-m", "controller.kube.admission.issue")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(SECONDS):
            made, said = await process.communicate(msgspec.json.encode(order))
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise IssueFailed(f"{' '.join(arguments)} failed: {lines[-1] if lines else f'exit {process.returncode}'}")
    return msgspec.json.decode(made, type=Ring)


def issue(signer: Certificate | None, names: tuple[str, ...], made: float, ends: float) -> Certificate:
    """A new P-256 key and its certificate, valid from shortly before `made` to `ends`."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(names[0] if signer else f"{AUTHORITY} {datetime.fromtimestamp(made, UTC):%Y-%m-%d %H:%M:%S}")
    builder = _described(subject, key.public_key(), signer is None, made, ends)
    if signer is None:
        certificate = builder.issuer_name(subject).sign(key, hashes.SHA256())
    else:
        certificate = _signed(builder, signer, names)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    kind, form = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return Certificate(pem, key.private_bytes(form, kind, serialization.NoEncryption()).decode(), made, ends)


def _described(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, authority: bool, made: float, ends: float
) -> x509.CertificateBuilder:
    """Whose key it is, from when to when, and what for."""
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(made, UTC) - timedelta(seconds=SKEW))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_usage(authority), critical=True)
    )


def _signed(builder: x509.CertificateBuilder, signer: Certificate, names: tuple[str, ...]) -> x509.Certificate:
    """By the authority, for a server of these names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    parent = x509.load_pem_x509_certificate(signer.certificate.encode())
    key = serialization.load_pem_private_key(signer.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return (
        builder.issuer_name(parent.subject)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common[:64])])


def _usage(authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **off)


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(renewed(order.ring, order.names, order.now, order.lives, issue)))
