"""A Service and its EndpointSlices as addresses of pods, and what is wrong with them in words. No clock and no socket in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kube.model import EndpointPort, EndpointSlice, Service, ServicePort, SliceEndpoint
from router.kube.model import Address, Fault
from router.kube.names import MANAGED_BY, PORT, SLICER

FAMILIES: Final = ("IPv4", "IPv6")  # the ones that we use, preferred first


class NoPort(ValueError):
    """It cannot be told which port of the Service is meant."""


def addresses(service: Service, slices: Iterable[EndpointSlice]) -> tuple[tuple[Address, ...], tuple[Fault, ...]]:
    """The pods behind a Service, each once: of a dual-stack pod the IPv4 address."""
    name, spec = service.metadata.name, service.spec
    if spec.type == "ExternalName":
        note = f"Service {name} is an ExternalName ({spec.external_name}): it has no pods to send requests to or to scale"
        return (), (Fault("NoAddresses", note),)
    try:
        port = port_of(service)
    except NoPort as error:
        return (), (Fault("BadPort", f"Service {name} {error}"),)
    usable = [each for each in slices if each.address_type in FAMILIES and not leads_to_routers(each)]
    known = sorted(usable, key=lambda each: FAMILIES.index(each.address_type))
    if not known and not spec.selector:
        note = f"Service {name} has no selector, and there is no EndpointSlice for it: nobody gives it addresses"
        return (), (Fault("NoAddresses", note),)
    found: dict[str, Address] = {}
    for one in known:
        for address in _of_slice(one, _number(one.ports, port)):
            before = found.setdefault(address.pod, address)
            if address.ready and not before.ready:
                found[address.pod] = address
    if not found and any(one.endpoints and not _number(one.ports, port) for one in known):
        note = f"Service {name}: no pod has the container port {port.target_port!r} that its port {_title(port)} points at"
        return (), (Fault("BadPort", note),)
    return tuple(found.values()), ()


def leads_to_routers(one: EndpointSlice) -> bool:
    """Made by a router for an intercepted Service: a request sent there would go round in circles."""
    return (one.metadata.labels or {}).get(MANAGED_BY) == SLICER


def port_of(service: Service) -> ServicePort:
    """The port that requests go to: the annotated one, the only one for TCP, or the one called http. Raises NoPort."""
    ports = [port for port in service.spec.ports or () if port.protocol == "TCP"]
    wanted = (service.metadata.annotations or {}).get(PORT, "")
    if wanted:
        return _wanted(service, ports, wanted)
    if len(ports) == 1:
        return ports[0]
    for port in ports:
        if port.name == "http":
            return port
    if not ports:
        what = "is headless and names no port" if service.spec.cluster_ip == "None" else "has no TCP port"
        raise NoPort(f"{what}: give it one, or say in the annotation {PORT} where its pods listen")
    raise NoPort(f"has the ports {', '.join(map(_title, ports))}: say in the annotation {PORT} which one takes requests")


def _wanted(service: Service, ports: list[ServicePort], wanted: str) -> ServicePort:
    for port in ports:
        if wanted in (port.name, str(port.port)):
            return port
    if not ports and wanted.isascii() and wanted.isdigit() and 0 < int(wanted) < 65536:
        return ServicePort(port=int(wanted), target_port=int(wanted))
    known = ", ".join(map(_title, ports)) or "none"
    raise NoPort(f"has no TCP port {wanted!r}, which its annotation {PORT} names (its ports: {known})")


def _title(port: ServicePort) -> str:
    return f"{port.name} ({port.port})" if port.name else str(port.port)


def _number(ports: tuple[EndpointPort, ...] | None, wanted: ServicePort) -> int:
    """Where the pods of one slice listen; 0: they do not. A slice without ports leaves it to us."""
    if not ports:
        return wanted.target_port if isinstance(wanted.target_port, int) else 0
    for port in ports:
        if (port.name or "") == wanted.name and (port.protocol or "TCP") == "TCP":
            return port.port or (wanted.target_port if isinstance(wanted.target_port, int) else 0)
    return 0


def _of_slice(one: EndpointSlice, number: int) -> Iterator[Address]:
    """Nothing when its pods do not listen there (number 0)."""
    for endpoint in (one.endpoints or ()) if number else ():
        for ip in endpoint.addresses[:1]:  # the first one stands for the endpoint (KEP-752)
            text = f"[{ip}]:{number}" if ":" in ip else f"{ip}:{number}"
            yield from _address(endpoint, endpoint.target_ref.name if endpoint.target_ref else text, text)


def _address(endpoint: SliceEndpoint, pod: str, text: str) -> Iterator[Address]:
    conditions = endpoint.conditions
    ready = conditions.ready is None or conditions.ready
    if not conditions.terminating:
        yield Address(pod, text, ready)
    elif conditions.serving is None or conditions.serving:
        yield Address(pod, text, ready=False, draining=True)
