# SPDX-License-Identifier: MPL-2.0
"""The handshake of a plugin on the network, in front of a gRPC server that knows nothing of it.

PROTOCOL.md, "The handshake": a host may begin with one line, `go-plugin/1 {...}`, and is answered with one. A client
that begins with HTTP/2, such as a health probe, gets the gRPC server at once.
"""
import asyncio
import ipaddress
import json
import socket

PREFIX, HTTP2 = b"go-plugin/", b"PRI * HTTP/2.0"
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # TLS, handshake_failure: what speaks TLS is told that there is none
MAX_LINE = 16 << 10
TIMEOUT = 10  # seconds until a host must have said hello


def refusal(code, message, **more):
    return {"refusal": {"code": code, "message": message, **more}}


def reply(line, answer, cookie):
    """The answer to a host's line, or a refusal."""
    core, _, body = line[len(PREFIX):].partition(b" ")
    if core != b"1":
        return refusal("core", "this plugin speaks go-plugin/1")
    try:
        request = json.loads(body)
        versions, protocols = request["versions"], request["protocols"]
        features = request.get("features") or []
        known = request.get("cookie") == cookie
    except (ValueError, KeyError, AttributeError):
        return refusal("malformed", "the hello is not the JSON that is expected")
    if not known:
        return refusal("cookie", "the magic cookie is another one")
    if answer["version"] not in versions:
        return refusal("version", f"Plugin version: {answer['version']}", versions=[answer["version"]])
    if answer["protocol"] not in protocols:
        return refusal("protocol", "this plugin speaks " + answer["protocol"])
    return {"answer": {**answer, "features": [f for f in answer["features"] if f in features]}}


async def pump(reader, writer):
    """Copies until the end, and passes the end on."""
    try:
        while data := await reader.read(64 << 10):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def hello(reader, writer, answer, cookie):
    """Takes part in the handshake. Gives what the gRPC server is to read first, or None if the connection is to end."""
    first = b""
    while first not in (PREFIX, HTTP2):
        byte = await reader.read(1)
        if not byte:
            return None
        first += byte
        if first == b"\x16":
            writer.write(ALERT)
            return None
        if not PREFIX.startswith(first) and not HTTP2.startswith(first):
            say(writer, refusal("malformed", "this is neither a hello nor HTTP/2"))
            return None
    if first == HTTP2:
        return first
    said = reply(first + await reader.readuntil(b"\n"), answer, cookie)
    say(writer, said)
    await writer.drain()
    return b"" if "answer" in said else None


def say(writer, said):
    writer.write(b"go-plugin/1 " + json.dumps(said).encode() + b"\n")


async def connection(reader, writer, backend, answer, cookie):
    """Sees one connection through to its end."""
    try:
        first = await asyncio.wait_for(hello(reader, writer, answer, cookie), TIMEOUT)
        if first is None:
            return
        behind_reader, behind = await asyncio.open_unix_connection(backend)
        try:
            behind.write(first)
            await asyncio.gather(pump(reader, behind), pump(behind_reader, writer))
        finally:
            behind.close()
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the peer has gone, or has not said hello in time
    finally:
        writer.close()


def listen(host, port):
    """A socket where PLUGIN_HOST says: an address, the loopback one, or by any other word all of IPv6 and IPv4."""
    try:
        version = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).version
        return socket.create_server((host, port), family=socket.AF_INET6 if version == 6 else socket.AF_INET)
    except ValueError:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))


async def serve(listener, backend, answer, cookie):
    """Serves a listening socket, in front of the unix socket backend. Gives the asyncio.Server."""
    return await asyncio.start_server(
        lambda reader, writer: connection(reader, writer, backend, answer, cookie), sock=listener, limit=MAX_LINE)
