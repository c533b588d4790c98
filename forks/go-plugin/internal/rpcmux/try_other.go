// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package rpcmux

import "net"

// tryWriter writes what a connection takes without waiting.
type tryWriter func(p []byte) (int, error)

// newTryWriter returns nil: a goroutine writes.
func newTryWriter(net.Conn) tryWriter { return nil }
