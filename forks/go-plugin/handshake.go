// SPDX-License-Identifier: MPL-2.0

package plugin

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

// Environment through which a host talks to the child that it starts.
const (
	// EnvUnixSocketDir names the directory in which a child creates its sockets.
	EnvUnixSocketDir = "PLUGIN_UNIX_SOCKET_DIR"

	// EnvUnixSocketGroup is the name or number of the group that may write to
	// the sockets of a child.
	EnvUnixSocketGroup = "PLUGIN_UNIX_SOCKET_GROUP"

	envMinPort          = "PLUGIN_MIN_PORT"
	envMaxPort          = "PLUGIN_MAX_PORT"
	envProtocolVersions = "PLUGIN_PROTOCOL_VERSIONS"
	envClientCert       = "PLUGIN_CLIENT_CERT"
	envMultiplexGRPC    = "PLUGIN_MULTIPLEX_GRPC"
)
