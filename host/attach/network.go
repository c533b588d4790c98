// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// NetworkOptions say how to attach to plugins on the network.
type NetworkOptions struct {
	Contract Contract

	// TLS names the files of this host's identity and of the CA that vouches
	// for plugins; they may be replaced at any time. Without any, connections
	// are plain TCP. Errors call a file without a name after the field, such
	// as "option TLS.CA".
	TLS tlsfile.Files
	// PlainPlugins are the names of plugins that are spoken to in plain TCP
	// although TLS is configured.
	PlainPlugins []string

	// Timeout bounds one attempt, from the name lookup to the end of the
	// handshake: 10 s if zero.
	Timeout time.Duration
	// MaxMessageBytes bounds one message in either direction: 64 MiB if zero, none if
	// negative.
	MaxMessageBytes int

	// Stdout and Stderr, if not nil, take what plugins print. Without either, plugins are
	// told that nobody does, and keep nothing for this host.
	Stdout, Stderr io.Writer
	// RawRPC has sessions over net/rpc give the connections of kinds, whose bytes the
	// caller hands on.
	RawRPC bool
	// Admit looks at what a plugin says of itself, and at its certificate, before its
	// session is used. Both may be nil: a plugin of the original library says nothing, and
	// one on plain TCP shows nothing. An error refuses it for good. Nil takes all.
	Admit func(peer *plugin.PeerInfo, certificate *x509.Certificate) error

	// Logger is used by the sessions. Nil is silent.
	Logger hclog.Logger
}

type networkDialer struct {
	opts NetworkOptions
	tls  *tlsConfigs // nil: plain TCP
}

// Network returns a dialer of target.Network endpoints. It reads all TLS files
// once, and its errors name what is wrong with which.
//
// A refusal that only another plugin or another host can mend (version, cookie,
// protocol) is permanent; it can be found as a *plugin.RefusedError. So is a server
// that is no plugin at all, which matches plugin.ErrNotPlugin. That the
// plugin is busy or leaving, cannot be reached or has a certificate that is not
// good now are not permanent.
//
// A session probes its connection only when it is pinged, as a conn.Conn does.
func Network(opts NetworkOptions) (conn.Dialer, error) {
	opts.Logger = cmp.Or(opts.Logger, hclog.NewNullLogger())
	if err := opts.Contract.Validate(); err != nil {
		return nil, fmt.Errorf("network dialer: %w", err)
	}
	configs, err := newTLSConfigs(opts.TLS, opts.PlainPlugins, opts.Logger)
	if err != nil {
		return nil, fmt.Errorf("network dialer: %w", err)
	}
	return &networkDialer{opts: opts, tls: configs}, nil
}

// Dial implements conn.Dialer.
func (d *networkDialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	config := d.opts.Contract.ClientConfig(e.Plugin)
	config.Reattach = &plugin.ReattachConfig{Addr: target.NetAddr(e.Address)}
	config.DialTimeout = d.opts.Timeout
	config.MaxMessageBytes = d.opts.MaxMessageBytes
	config.KeepaliveInterval = -1 // the owner of the session pings it
	config.Logger = d.opts.Logger.Named(e.Plugin)
	config.RawRPC = d.opts.RawRPC
	config.SyncStdout, config.SyncStderr = d.opts.Stdout, d.opts.Stderr
	identity := new(identity)
	var err error
	if config.TLSConfig, err = d.tls.forEndpoint(e, identity); err != nil {
		return nil, err
	}
	session, err := plugin.Attach(ctx, config)
	if err != nil {
		return nil, d.explain(ctx, e, config, err) // it names the address
	}
	if d.opts.Admit != nil {
		if err := d.opts.Admit(session.Info(), identity.leaf); err != nil {
			_ = session.Close()
			return nil, conn.Permanent(fmt.Errorf("plugin at %s: %w", e.Address, err))
		}
	}
	return NewSession(session, Details{Certificate: identity.name()}), nil
}

// explain adds what the dialer knows to an error: whether it lasts, and what to
// look at.
func (d *networkDialer) explain(ctx context.Context, e target.Endpoint, config *plugin.ClientConfig, err error) error {
	switch ended := ctx.Err(); {
	case ended == nil || errors.Is(err, ended):
	case errors.Is(ended, context.DeadlineExceeded):
		err = &lateError{err} // what it waited for then is the cause
	default:
		// The attempt was given up, and what it was doing then explains little.
		err = fmt.Errorf("%w: %w", ended, err)
	}
	err = d.tls.hint(e, config.TLSConfig, explainSocket(e, err))
	if refused, ok := errors.AsType[*plugin.RefusedError](err); ok && !refused.Temporary() {
		return conn.Permanent(err)
	}
	if errors.Is(err, plugin.ErrIncompatible) || errors.Is(err, plugin.ErrNotPlugin) {
		return conn.Permanent(err)
	}
	return err
}

// lateError is of an attempt at whose deadline something else failed than a wait for it. It
// has the text of that, and matches context.DeadlineExceeded as well.
type lateError struct{ error }

// Unwrap gives what failed.
func (e *lateError) Unwrap() error { return e.error }

// Is reports whether target is the end of the attempt's time.
func (*lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// explainSocket adds what is in the place of a unix socket, to which the system refuses
// connections as if nobody served there.
func explainSocket(e target.Endpoint, err error) error {
	addr, is := target.NetAddr(e.Address).(*net.UnixAddr)
	if !is {
		return err
	}
	info, failed := os.Stat(addr.Name)
	switch {
	case failed != nil || info.Mode().Type() == fs.ModeSocket:
		return err
	case info.IsDir():
		return fmt.Errorf("%w: %s is a directory: name the socket in it", err, addr.Name)
	}
	return fmt.Errorf("%w: %s is no socket", err, addr.Name)
}

// SpeaksOtherwise reports whether a plugin has none of the versions and protocols that it
// was asked for.
func SpeaksOtherwise(err error) bool {
	if refused, ok := errors.AsType[*plugin.RefusedError](err); ok {
		return refused.Code == plugin.RefusedVersion || refused.Code == plugin.RefusedProtocol
	}
	return errors.Is(err, plugin.ErrIncompatible)
}
