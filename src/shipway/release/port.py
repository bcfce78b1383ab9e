"""The public port of a service: who holds it, and which release new connections go to.

The kernel does the steering. All listening sockets of a service are bound to the same address and
port (SO_REUSEPORT) and form one ordered group; a classic BPF program of a few instructions,
attached to the group, names the socket that a new connection is queued on. Replacing the program
is atomic, so a switch has no moment at which a connection could be lost, and no byte of traffic
passes through the supervisor. Socket 0 is the lobby: it owns the port and answers 503 while no
release is live. The others are slots, one per running release.

Whatever comes from 127.87.0.K is queued on slot K: that is how a release that does not take
traffic yet is asked for its health over the very socket that it is going to serve on.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

HOST = "127.0.0.1"
SLOTS = 4
BACKLOG = 1024
_ATTACH_CBPF = 51  # SO_ATTACH_REUSEPORT_CBPF, Linux 4.5; the socket module does not name it
_SOURCE_ADDRESS = 0xFFF0_0000 + 12  # SKF_NET_OFF + the offset of the source in an IPv4 header
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PROBES = 0x7F57_0000  # 127.87.0.0
_LISTEN = 10  # TCP_LISTEN
_BACKLOG_OFFSET = 24  # tcpi_unacked of struct tcp_info: of a listener, connections not yet accepted


class PortTakenError(Exception):
    """Somebody else listens on the asked port, or it may not be used."""


def probe_address(slot: int) -> str:
    """The loopback address to ask slot ``slot`` from, whoever is live."""
    return f"127.87.0.{slot}"


class Port:
    """Holds the sockets of one public port for as long as the supervisor lives.

    A slot's socket outlives the release on it: what is queued there is not refused while the
    release is started again.
    """

    def __init__(self, port: int) -> None:
        self._lobby = self._first(port)
        self.number: int = self._lobby.getsockname()[1]
        self._slots = [self._next() for _ in range(SLOTS)]
        self._order = [self._lobby, *self._slots]
        self._live = 0
        #: How often a slot had to be made to listen again: connections went astray before it.
        self.repairs = 0
        self._attach()

    @property
    def lobby(self) -> socket.socket:
        return self._lobby

    def slot(self, number: int) -> socket.socket:
        return self._slots[number - 1]

    def steer(self, slot: int) -> None:
        """From now on new connections go to ``slot`` (0: to the lobby)."""
        self._live = slot
        self._attach()

    def waiting(self, slot: int) -> int:
        """How many connections are queued on a slot and not yet accepted."""
        info = self.slot(slot).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(struct.unpack_from("=I", info, _BACKLOG_OFFSET)[0]) if info[0] == _LISTEN else 0

    def repair(self) -> None:
        """Make every slot listen again: a release may have shut down the socket it was handed.

        It should close it and no more, as every common server does: until this is called, what it
        shut down leads new connections astray.
        """
        for slot in self._slots:
            if slot.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            # The kernel fills the gap in the group with its last socket; listening again appends.
            gap = self._order.index(slot)
            last = self._order.pop()
            if last is not slot:
                self._order[gap] = last
            slot.listen(BACKLOG)
            self._order.append(slot)
            self._attach()
            self.repairs += 1

    def close(self) -> None:
        for one in (*self._slots, self._lobby):
            one.close()

    def _first(self, port: int) -> socket.socket:
        """Bind alone first (a port in use is an error), and share the port only afterwards."""
        lobby = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        lobby.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            lobby.bind((HOST, port))
        except OSError as error:
            lobby.close()
            raise PortTakenError(_why(error, port)) from error
        lobby.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            lobby.listen(BACKLOG)
        except OSError as error:
            lobby.close()
            raise PortTakenError(_why(error, port)) from error
        return lobby

    def _next(self) -> socket.socket:
        slot = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        slot.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        slot.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        slot.bind((HOST, self.number))
        slot.listen(BACKLOG)
        return slot

    def _attach(self) -> None:
        program = [(_LOAD, 0, 0, _SOURCE_ADDRESS)]
        for number, slot in enumerate(self._slots, start=1):
            program.append((_IF_EQUAL, 0, 1, _PROBES + number))
            program.append((_RETURN, 0, 0, self._order.index(slot)))
        live = self._lobby if self._live == 0 else self.slot(self._live)
        program.append((_RETURN, 0, 0, self._order.index(live)))
        code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
        kept = ctypes.create_string_buffer(code)
        handle = struct.pack("@HP", len(program), ctypes.addressof(kept))
        self._lobby.setsockopt(socket.SOL_SOCKET, _ATTACH_CBPF, handle)


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another program"
    if error.errno == errno.EACCES:
        return f"port {port} may only be used by the system"
    return f"port {port} cannot be used: {error.strerror}"
