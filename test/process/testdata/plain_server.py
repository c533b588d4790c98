# SPDX-License-Identifier: MPL-2.0
"""The Greeter of examples/python, served by somebody who has never heard of plugins."""
import asyncio
import sys

import grpc

sys.path.insert(0, sys.argv[1])
import greeter


async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((greeter.Greeter().handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"plain|2|tcp|127.0.0.1:{port}|grpc|", flush=True)
    await server.wait_for_termination()


asyncio.run(main())
