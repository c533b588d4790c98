// SPDX-License-Identifier: MPL-2.0

// Package attach makes sessions with plugins: a conn.Dialer for each placement.
//
//   - [Network] attaches to plugins that listen on the network.
//   - [Child] starts executables, and stops them with their session.
//   - Package so, beneath this one, loads shared objects into this process. It
//     is a package of its own because it needs cgo.
//
// Every session behaves alike, whatever the placement: package dialertest holds
// them to it. Each speaks net/rpc or gRPC, and has the methods OpenRPC and
// ClientConn by which stubs send their calls; the one that does not fit the
// session's protocol says so.
package attach
