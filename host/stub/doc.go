// SPDX-License-Identifier: MPL-2.0

// Package stub makes stubs that never die: every call of a stub is routed to
// an endpoint that is ready when it is made.
//
// [NewRPC] gives an rpc.Client and [NewGRPC] a grpc.ClientConn, which is what
// the glue of a plugin is written for. Both follow the same rules:
//
//   - An error that the plugin returned goes to the caller unchanged.
//   - A call that surely was not sent goes to another endpoint.
//   - A call that may have run is repeated only if its method is declared
//     idempotent, and once at most unless CallOptions.Repeats says otherwise.
//   - Every call has a deadline, which includes waiting for an endpoint. A late
//     answer is dropped.
//   - All other failures are a [Fault], by its type: [Cause] and [SourceOf]
//     recognize it. It says that the call may have run if any attempt was sent.
//
// Over net/rpc, requests travel on session channels: one plugin.RPCChannel for each
// stub and session, opened by the first call and shared by all. A channel has one
// goroutine, which reads. A call has one only while it cannot be put on a channel:
// no endpoint is ready, or the channel is being opened or full.
//
// A call made by plugin.CallContext has its caller's context: its deadline in the place of
// the method's timeout, its end, and its outgoing metadata. Whatever gives a call up, the
// plugin is told; a request that has not left is taken back, and its Fault says that it
// was not sent. A plugin that refuses a call has not run it, and it goes elsewhere.
//
// Over gRPC, interceptors hand calls to the connection of the picked session.
// What travels inside a stream cannot be repeated, so a stream that was opened
// stays where it is and ends with its session.
//
// Callbacks reach this host through a plugin.SharedBroker that all sessions of
// the plugin have joined. In the rarer direction, where the plugin names an id
// in an answer and the host dials it, the endpoint that answered last on the
// stub is dialled. With calls of several goroutines on one stub that may be
// another than the one whose answer the caller holds. And a broker over net/rpc
// accepts an id once: when a call is repeated after its first endpoint had
// called back, the second one finds no listener.
package stub
