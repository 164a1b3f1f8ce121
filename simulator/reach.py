"""Whom the sandbox may connect to: buyers, receivers of webhooks. Nobody is connected to here."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from simulator.routing.values import value

Network = IPv4Network | IPv6Network
ANYWHERE = "*"

_TRANSLATED = IPv6Network("64:ff9b::/96")  # public IPv4 addresses, as networks without IPv4 write them (RFC 6052)
# Other ways to wrap an IPv4 address, and what is private by an older word: no public host is at any of them.
_WRAPPED = tuple(
    map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10"))
)


class HostError(ValueError):
    """A word that names no host and no network. One sentence."""


@value(frozen=True, slots=True)
class Reach:
    """This machine, and what the command line names besides it.

    A network (`10.1.2.0/24`, `192.0.2.7`) allows its addresses, under whatever name. A name (`buyer.example.com`,
    `*.example.com`, `*`) allows the public addresses that it resolves to, and never a private one or a cloud's
    169.254.169.254: who owns a name says where it points, the moment after it was looked up.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    own: frozenset[str] = frozenset()  # hosts that are part of the sandbox itself, wherever they are

    def allows(self, host: str, address: str) -> bool:
        """Whether a connection may be opened to this address, which `host` was resolved to a moment ago."""
        found = _address(address)
        if found is None:
            return False
        if found.is_loopback or host in self.own or any(_within(found, network) for network in self.networks):
            return True
        return self._is_named(host) and _is_public(found)

    def may_allow(self, host: str) -> bool:
        """Whether the host could turn out to be allowed; what a name resolves to is not known before the connection."""
        literal = _address(host)
        if literal is not None:
            return self.allows(host, host)
        return host == "localhost" or host in self.own or self._is_named(host) or bool(self.networks)

    def _is_named(self, host: str) -> bool:
        parts = host.split(".")
        tails = {f"*.{'.'.join(parts[n:])}" for n in range(1, len(parts))}
        return not self.names.isdisjoint({host, ANYWHERE, *tails})


def reach(words: Sequence[str], own_urls: Sequence[str] = ()) -> Reach:
    """Read the words of `--allow-host`. `own_urls` are the sandbox's other programs. Raises HostError."""
    names, networks = set(), []
    for word in (word.strip().lower().rstrip(".") for word in words):
        if network := _network(word):
            networks.append(network)
        elif _is_name(word):
            names.add(word)
        else:
            raise HostError(f"{word!r} is no host name, address or network; write buyer.example.com or 10.1.2.0/24")
    return Reach(frozenset(names), tuple(networks), frozenset(map(host_of, own_urls)) - {""})


def host_of(url: str) -> str:
    """Return the host of a URL in lower case, "" when it has none that can be read."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_name(word: str) -> bool:
    rest = word.removeprefix("*.")
    return word == ANYWHERE or (bool(rest) and all(c.isalnum() or c in "-_." for c in rest))


def _network(word: str) -> Network | None:
    try:
        return ip_network(word.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(_within(address, network) for network in _WRAPPED):
        return False
    if _within(address, _TRANSLATED):
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.is_global and not address.is_multicast


def _within(address: IPv4Address | IPv6Address, network: Network) -> bool:
    return address.version == network.version and address in network
