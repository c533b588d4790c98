// SPDX-License-Identifier: MPL-2.0

// Package env names the environment variables of a plugin. PROTOCOL.md has those that
// go over from a host to its child, the README those of network mode.
package env

// What a host tells the child that it starts.
const (
	UnixSocketDir    = "PLUGIN_UNIX_SOCKET_DIR"
	UnixSocketGroup  = "PLUGIN_UNIX_SOCKET_GROUP"
	MinPort          = "PLUGIN_MIN_PORT"
	MaxPort          = "PLUGIN_MAX_PORT"
	ProtocolVersions = "PLUGIN_PROTOCOL_VERSIONS"
	ClientCert       = "PLUGIN_CLIENT_CERT"
	MultiplexGRPC    = "PLUGIN_MULTIPLEX_GRPC"
	EndWithHost      = "PLUGIN_END_WITH_HOST"
	Hello            = "PLUGIN_HELLO"
)

// LogLevel is the level of a plugin's logger, in every mode.
const LogLevel = "PLUGIN_LOG_LEVEL"

// What configures network mode.
const (
	Host             = "PLUGIN_HOST"
	UnixSocketMode   = "PLUGIN_UNIX_SOCKET_MODE"
	Name             = "PLUGIN_NAME"
	DrainTimeout     = "PLUGIN_DRAIN_TIMEOUT"
	HandshakeTimeout = "PLUGIN_HANDSHAKE_TIMEOUT"
	MaxSessions      = "PLUGIN_MAX_SESSIONS"
	TLSCert          = "PLUGIN_TLS_CERT_FILE"
	TLSKey           = "PLUGIN_TLS_KEY_FILE"
	TLSClientCA      = "PLUGIN_TLS_CLIENT_CA_FILE"
	HealthAddr       = "PLUGIN_HEALTH_ADDR"
	DefaultVersion   = "PLUGIN_DEFAULT_VERSION"
	OneServer        = "PLUGIN_ONE_SERVER"
	Panic            = "PLUGIN_PANIC"
	MaxMessage       = "PLUGIN_MAX_MESSAGE"
	MaxCalls         = "PLUGIN_MAX_CALLS"
)

// Network returns the names that configure network mode. A host must not pass them on
// to its children: they say where this very process listens.
func Network() []string {
	return []string{
		Host, UnixSocketMode, Name, DrainTimeout, HandshakeTimeout, MaxSessions, TLSCert, TLSKey, TLSClientCA,
		HealthAddr, DefaultVersion, OneServer, Panic, MaxMessage, MaxCalls,
	}
}
