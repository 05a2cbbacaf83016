"""What the setting ``LIENTHONG_BROKER`` says; every room that speaks to Kafka reads it here.

And where a server may be, which the addresses of databases ask too.
"""

from schemas.errors import SettingsError

_DEFAULT_PORT = 9092
_DIGITS = 5  #: of the largest port; of thousands Python makes no number


def addresses(brokers: str) -> list[tuple[str, int]]:
    """Hosts and ports of bootstrap servers. Raises ``SettingsError`` if the text is no list of addresses."""
    found = []
    for address in brokers.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not colon:
            host, port = address.strip(), str(_DEFAULT_PORT)
        if not _is_name(host) or not _is_port(port):
            raise SettingsError(
                f"LIENTHONG_BROKER: {address.strip()!r} is not host:port",
                next_step="write host:port, several separated by commas",
            )
        found.append((host.strip("[]"), int(port)))
    return found


def no_server(hosts: str, port: int | None) -> str:
    """Why no server can have these hosts, separated by commas, and this port; empty if one can.

    A host that begins with ``/`` is the folder of a socket.
    """
    if port is not None and not 0 < port < 65_536:
        return "names a port that is not from 1 to 65535"
    if not all(host.startswith("/") or _is_name(host) for host in hosts.split(",") if host):
        return "names no host"
    return ""


def _is_name(host: str) -> bool:
    """Whether a resolver can be asked for it: not for words, nor for ``kafka..vn``, which Python refuses."""
    try:
        return bool(host.encode("idna")) and not any(map(str.isspace, host))
    except UnicodeError:
        return False


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS and 0 < int(text) < 65_536
