// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/runner"
)

// Defaults of the durations in ClientConfig.
const (
	defaultStartTimeout      = time.Minute
	defaultDialTimeout       = 10 * time.Second
	defaultPingTimeout       = 5 * time.Second
	defaultKeepaliveInterval = 5 * time.Second

	defaultMinPort = 10000
	defaultMaxPort = 25000

	defaultLogBufferSize = 64 << 10
)

// ClientConfig says how a host reaches one plugin. Exactly one of Cmd,
// RunnerFunc and Reattach is set. It must not be changed once it was given to
// [NewClient] or [Attach].
type ClientConfig struct {
	// HandshakeConfig must equal the plugin's.
	HandshakeConfig

	// Plugins are the kinds that the host knows of app version ProtocolVersion,
	// and of Reattach.ProtocolVersion where that is set.
	Plugins PluginSet

	// VersionedPlugins are the kinds of further app versions, and come before
	// Plugins where both have one. The highest version that both sides have is
	// used.
	VersionedPlugins map[int]PluginSet

	// Cmd is a command that was not started. The client starts it, and Kill
	// ends it. Of Env it leaves out what [HostEnv] leaves out, where the value is
	// that of this process.
	Cmd *exec.Cmd

	// Reattach reaches a plugin that runs already. See [ReattachConfig].
	Reattach *ReattachConfig

	// RunnerFunc starts the plugin in some other way than as a process of this
	// host. It is given the environment that the plugin must see in cmd.Env,
	// and a directory that both sides can reach for sockets.
	RunnerFunc func(l hclog.Logger, cmd *exec.Cmd, tmpDir string) (runner.Runner, error)

	// SecureConfig verifies the executable before it is started.
	SecureConfig *SecureConfig

	// TLSConfig enables TLS towards the plugin. For a remote plugin a missing
	// ServerName is the host part of its TCP address; a unix socket has none.
	TLSConfig *tls.Config

	// Managed adds the client to those that [CleanupClients] kills.
	Managed bool

	// MinPort and MaxPort are the TCP ports that a child may use where there
	// are no unix sockets: 10000 and 25000 if both are zero.
	MinPort, MaxPort uint

	// StartTimeout is how long a child may take to say that it serves: 1 min
	// if zero.
	StartTimeout time.Duration

	// Stderr, if not nil, receives the stderr of a child as it is.
	Stderr io.Writer

	// SyncStdout and SyncStderr, if not nil, receive what the plugin writes to
	// os.Stdout and os.Stderr.
	SyncStdout io.Writer
	SyncStderr io.Writer

	// AllowedProtocols are the protocols that the host speaks, best first. Nil
	// is net/rpc only.
	AllowedProtocols []Protocol

	// Logger is used by the client, and receives the log lines of a child. Nil
	// logs everything to hclog's default output.
	Logger hclog.Logger

	// PluginLogBufferSize is the longest log line of a child, in bytes, that is
	// taken as one: 64 KiB if zero. A longer one is logged in pieces of that size,
	// each with the level of the whole and its number ("piece").
	PluginLogBufferSize int

	// AutoMTLS makes host and child authenticate each other with certificates
	// made for this one run. A remote plugin has no way to be given such a
	// certificate: there, AutoMTLS needs TLSConfig, and means that TLS is
	// required.
	AutoMTLS bool

	// GRPCDialOptions are added to every gRPC connection.
	GRPCDialOptions []grpc.DialOption

	// GRPCBrokerMultiplex sends brokered gRPC connections through the one
	// connection to a child. Connections brokered with a remote plugin always
	// go through the one connection; there the field only refuses a peer that
	// cannot do so.
	GRPCBrokerMultiplex bool

	// RawRPC is for [Session.DialRPC]: a session over net/rpc then has connections for its
	// kinds, as with a plugin of the original library, and not messages.
	RawRPC bool

	// Broker, if not nil, is shared with other sessions of this host. See
	// [SharedBroker].
	Broker *SharedBroker

	// SkipHostEnv starts the child with Cmd.Env and the handshake's variables
	// only, without the host's environment.
	SkipHostEnv bool

	// EndWithHost ends a child that Cmd starts when this process ends, however
	// it does: on Linux the kernel kills it, and its socket has no name from
	// Start on, so that neither is left and nobody can reattach to it. On other
	// Unix systems a child ends by itself, within a second or two, if it was
	// built with this library. On Windows nothing ends it.
	EndWithHost bool

	// UnixSocketConfig says where the sockets of a child go and who may use
	// them.
	UnixSocketConfig *UnixSocketConfig

	// MaxMessageBytes bounds one message in either direction, over net/rpc and over
	// gRPC. One that is larger is an error of its call, which names both sizes.
	// Zero is [DefaultMaxMessageBytes] with a remote plugin, and no bound with a
	// child, as ever; negative is no bound.
	MaxMessageBytes int

	// DialTimeout bounds each attempt to connect to a remote plugin, TLS and
	// handshake included, and the first connection to one on this machine: 10 s if
	// zero.
	DialTimeout time.Duration

	// PingTimeout bounds Ping, and each probe of a remote session: 5 s if zero.
	PingTimeout time.Duration

	// KeepaliveInterval is how long a remote session may be silent before it is
	// probed: 5 s if zero, never if negative. A peer that vanished is noticed
	// after KeepaliveInterval + PingTimeout at the latest, and by TCP alone once it
	// has said by an HTTP/2 GOAWAY that it leaves.
	KeepaliveInterval time.Duration

	// relayed is for a child whose connections others use: it does not shake hands.
	relayed bool
}

// UnixSocketConfig says where sockets go and who may use them.
type UnixSocketConfig struct {
	// Group owns the sockets and may write to them: a name or a number. The
	// process must be a member of it. Empty: only the owner may.
	Group string

	// TempDir is the directory under which a directory for the sockets is made.
	// It must exist. Empty: the system's default.
	TempDir string
}

// withDefaults returns a copy with every zero duration, size and writer
// replaced by its default.
func (c ClientConfig) withDefaults() ClientConfig {
	setDefault(&c.StartTimeout, defaultStartTimeout)
	setDefault(&c.DialTimeout, defaultDialTimeout)
	setDefault(&c.PingTimeout, defaultPingTimeout)
	setDefault(&c.KeepaliveInterval, defaultKeepaliveInterval)
	setDefault(&c.PluginLogBufferSize, defaultLogBufferSize)
	if c.MinPort == 0 && c.MaxPort == 0 {
		c.MinPort, c.MaxPort = defaultMinPort, defaultMaxPort
	}
	if c.Reattach.remote() {
		setDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	}
	for _, w := range []*io.Writer{&c.Stderr, &c.SyncStdout, &c.SyncStderr} {
		setDefault(w, io.Discard)
	}
	if c.UnixSocketConfig == nil {
		c.UnixSocketConfig = &UnixSocketConfig{}
	}
	if c.AllowedProtocols == nil {
		c.AllowedProtocols = []Protocol{ProtocolNetRPC}
	}
	if c.Logger == nil {
		c.Logger = hclog.New(&hclog.LoggerOptions{Name: "plugin", Level: hclog.Trace, Output: hclog.DefaultOutput})
	}
	return c
}

// wantsOutput reports whether this host takes what a remote plugin writes.
func (c *ClientConfig) wantsOutput() bool {
	return c.SyncStdout != io.Discard || c.SyncStderr != io.Discard
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports what cannot work, before anything is started.
func (c *ClientConfig) validate() error {
	if err := checkMaxMessage(c.MaxMessageBytes); err != nil {
		return fmt.Errorf("MaxMessageBytes is %w", err)
	}
	ways := 0
	for _, set := range []bool{c.Cmd != nil, c.Reattach != nil, c.RunnerFunc != nil} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("exactly one of Cmd, or Reattach, or RunnerFunc must be set")
	}
	if c.Reattach == nil {
		return nil
	}
	if c.SecureConfig != nil {
		return ErrSecureConfigAndReattach
	}
	if c.Reattach.Addr == nil && c.Reattach.ReattachFunc == nil {
		return errors.New("Reattach.Addr must be set")
	}
	if c.Reattach.remote() {
		if c.AutoMTLS && c.TLSConfig == nil {
			return fmt.Errorf("AutoMTLS with the remote plugin %s needs TLSConfig: "+
				"there is no child process to hand a one-time certificate to", c.Reattach.Addr)
		}
		return nil
	}
	if c.GRPCBrokerMultiplex {
		return errors.New("gRPC broker multiplexing is not supported with Reattach config of a local process: " +
			"it serves the connection of the host that started it")
	}
	return nil
}

// versions returns the kinds of every app version that the host knows. Hosts of
// the original library give Plugins of whichever version Reattach names, and leave
// the handshake's as it is, or zero.
func (c *ClientConfig) versions() map[int]PluginSet {
	all := make(map[int]PluginSet)
	if c.Plugins != nil {
		all[int(c.ProtocolVersion)] = c.Plugins
		if c.Reattach != nil && c.Reattach.ProtocolVersion != 0 {
			all[c.Reattach.ProtocolVersion] = c.Plugins
		}
	}
	maps.Copy(all, c.VersionedPlugins)
	return all
}

// allows reports whether the host speaks p.
func (c *ClientConfig) allows(p Protocol) error {
	if slices.Contains(c.AllowedProtocols, p) {
		return nil
	}
	return peererr.Incompatiblef("unsupported plugin protocol %q. Supported: %v", p, c.AllowedProtocols)
}

// selectVersion returns the kinds of the version that the plugin chose.
func (c *ClientConfig) selectVersion(version int) (PluginSet, error) {
	all := c.versions()
	set, ok := all[version]
	if !ok {
		return nil, peererr.Incompatiblef("incompatible API version with plugin. Plugin version: %d, Client versions: %v",
			version, slices.Sorted(maps.Keys(all)))
	}
	return set, nil
}
