// SPDX-License-Identifier: MPL-2.0

// Package rpcmux carries the net/rpc calls of a session, and what else the
// session needs, as messages on one connection. PROTOCOL.md, "Messages",
// describes them.
//
// Beside yamux with a net/rpc connection in each stream, it saves goroutines,
// buffers and system calls. No goroutine stands between the connection and
// whoever waits for it: the host's readers pass a read lock to one another, and
// the plugin runs a method that is known to be quick in the goroutine that read
// its request. Messages that are due at the same time leave in one write.
package rpcmux
