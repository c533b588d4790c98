// SPDX-License-Identifier: MPL-2.0

package plugin

import "github.com/hashicorp/go-plugin/internal/env"

// HandshakeConfig is what a host and its plugins must agree on. Programs share
// it as a variable of a package that both import.
type HandshakeConfig struct {
	// ProtocolVersion is the app version of the Plugins field beside it. With
	// VersionedPlugins it may stay zero.
	ProtocolVersion uint

	// MagicCookieKey and MagicCookieValue tell a plugin that a host which knows
	// it has started it, so that a person who starts it by hand is told what
	// it is. In network mode the host sends them in the handshake, so that a
	// host that was given the wrong address finds out. They are no secret and
	// authenticate nobody; TLS does.
	MagicCookieKey   string
	MagicCookieValue string
}

// Environment through which a host tells a child where its sockets go.
const (
	// EnvUnixSocketDir names the directory in which a child creates its sockets.
	EnvUnixSocketDir = env.UnixSocketDir

	// EnvUnixSocketGroup is the name or number of the group that may write to
	// the sockets of a child.
	EnvUnixSocketGroup = env.UnixSocketGroup
)
