#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A Greeter for the host basic, in Python.

It is a gRPC server of the service that the contract names, and becomes a plugin by what stands around it:

  with PLUGIN_HOST     it listens on that address for any number of hosts, as a pod does
  without PLUGIN_HOST  it was started by a host: it checks the cookie, listens on a unix socket and prints where

A plugin on the network needs no more than the service: a host takes any gRPC server for one. What else is here is for
the host's sake: the handshake (names, version), the health service (readiness, and that the plugin leaves).
"""
import asyncio
import os
import signal
import sys
import tempfile

import grpc

import commons_pb2
import front

COOKIE = {"key": "BASIC_PLUGIN", "value": "hello"}
VERSION = 2  # of the contract: reattach.commons.v1 over gRPC
PAUSE = 1  # seconds until all hosts have heard that the plugin leaves
GRACE = 24  # seconds that calls in flight have after that


class Greeter:
    """The contract's service reattach.commons.v1.Greeter."""

    async def greet(self, request, context):
        if not request.HasField("name"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "name is missing")
        return commons_pb2.GreetResponse(greeting=f"Hello {request.name}, this is Python")

    async def hi(self, request, context):
        return commons_pb2.HiResponse(greeting=f"Hi everybody, this is Python ({request.times})")

    def handler(self):
        return grpc.method_handlers_generic_handler("reattach.commons.v1.Greeter", {
            "Greet": grpc.unary_unary_rpc_method_handler(
                self.greet, commons_pb2.GreetRequest.FromString, commons_pb2.GreetResponse.SerializeToString),
            "Hi": grpc.unary_unary_rpc_method_handler(
                self.hi, commons_pb2.HiRequest.FromString, commons_pb2.HiResponse.SerializeToString),
        })


class Health:
    """grpc.health.v1.Health, for every name. Its one-byte answers are written by hand."""

    SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"

    def __init__(self):
        self.leaving = asyncio.Event()

    async def check(self, request, context):
        return self.NOT_SERVING if self.leaving.is_set() else self.SERVING

    async def watch(self, request, context):
        yield await self.check(request, context)
        await self.leaving.wait()
        yield self.NOT_SERVING

    def handler(self):
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(self.check),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        })


def controller(end):
    """plugin.GRPCController: how a host asks its child to end."""

    async def shutdown(request, context):
        end.set()
        return b""

    return grpc.method_handlers_generic_handler("plugin.GRPCController", {
        "Shutdown": grpc.unary_unary_rpc_method_handler(shutdown),
    })


async def main():
    end = asyncio.Event()
    for number in signal.SIGTERM, signal.SIGINT:
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    health = Health()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Greeter().handler(), health.handler()))
    with tempfile.TemporaryDirectory(prefix="plugin", dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR")) as directory:
        socket = os.path.join(directory, "grpc.sock")
        server.add_insecure_port("unix:" + socket)
        listener = None
        if host := os.environ.get("PLUGIN_HOST"):
            await server.start()
            listening = front.listen(host, int(os.environ.get("PLUGIN_MIN_PORT", "7000")))
            listener = await front.serve(listening, socket, {
                "core": 1, "version": VERSION, "protocol": "grpc", "features": ["goaway"],
                "name": os.environ.get("PLUGIN_NAME", "greeter"), "instance": f"{os.uname().nodename}-{os.getpid()}",
                "kinds": [{"name": "greeter", "methods": [{"name": "Greet"}, {"name": "Hi"}]}],
            }, COOKIE)
            host, port = listening.getsockname()[:2]
            print(f"1|{VERSION}|tcp|{f'[{host}]' if ':' in host else host}:{port}|grpc|", flush=True)
        else:
            if os.environ.get(COOKIE["key"]) != COOKIE["value"]:
                sys.exit("This is a plugin: a host starts it. To serve on the network, set PLUGIN_HOST.")
            if "PLUGIN_CLIENT_CERT" in os.environ:
                sys.exit("The host asks for AutoMTLS, whose P-521 certificates grpcio cannot use: switch it off.")
            server.add_generic_rpc_handlers((controller(end),))
            await server.start()
            print(f"1|{VERSION}|unix|{socket}|grpc|", flush=True)
        await end.wait()
        if listener:
            listener.close()  # hosts that come now find another instance
        health.leaving.set()  # hosts that watch send new calls elsewhere
        if listener:
            await asyncio.sleep(PAUSE)  # grpcio cancels calls that come after stop
        await server.stop(GRACE if listener else 0)


if __name__ == "__main__":
    asyncio.run(main())
