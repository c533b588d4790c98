// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package admission

import "net"

// hasUnread reports false: a socket cannot be asked.
func hasUnread(net.Conn) bool { return false }
