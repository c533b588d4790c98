// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net"

	"github.com/hashicorp/go-plugin/runner"
)

// ReattachConfig names a plugin that runs already. There are two sorts.
//
// With an Addr and neither Pid, ReattachFunc nor Test it is a remote plugin, at a
// TCP address or at a unix socket that both sides can reach: the host negotiates
// version and protocol with it, Kill and Close detach and leave it running, and
// a session that was lost is replaced by the next call of Client.Client.
//
// With a Pid or a ReattachFunc it is a process of this machine, started by some
// other client: Kill ends it.
type ReattachConfig struct {
	// Protocol is what the plugin speaks. A remote plugin says so itself; there
	// it is what to speak with one that does not know the handshake. Empty is what
	// that one's first bytes belong to, and net/rpc if it sends none.
	Protocol Protocol

	// ProtocolVersion is the app version in test mode, and with a remote plugin
	// that does not know the handshake; one that does chooses among this and the
	// others that the host knows. Zero is HandshakeConfig's, or over gRPC the only
	// one that the host has over gRPC.
	ProtocolVersion int

	// Addr is where the plugin listens.
	Addr net.Addr

	// Pid is the plugin's process.
	Pid int

	// ReattachFunc attaches to something other than a process.
	ReattachFunc runner.ReattachFunc

	// RequireHandshake refuses a remote plugin that does not know the handshake,
	// instead of taking it as Protocol and ProtocolVersion describe it: such a
	// plugin can say neither its version nor that it leaves. A Client requires
	// it by itself of a plugin that has shaken hands before.
	RequireHandshake bool

	// Test says that the plugin serves in test mode and ends itself: Kill does
	// nothing, and the connection goes on working. ClientProtocol.Close asks the
	// plugin to end, as ever.
	Test bool
}

// remote reports whether this is a plugin that is not of this host.
func (r *ReattachConfig) remote() bool {
	if r == nil || r.Test || r.Pid != 0 || r.ReattachFunc != nil || r.Addr == nil {
		return false
	}
	switch r.Addr.Network() {
	case "tcp", "tcp4", "tcp6", "unix":
		return true
	}
	return false
}
