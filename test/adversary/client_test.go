// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// victim is a plugin process in network mode.
type victim struct {
	*process
	addr string
}

// startPlugin starts the plugin of ./peer, which logs nothing of its own.
func startPlugin(t *testing.T, env ...string) *victim {
	t.Helper()
	p := run(t, "peer.po", nil, append([]string{"BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1"}, env...))
	return &victim{p, p.address()}
}

// clientConfig is that of an honest host, which has no bound of its own.
func (v *victim) clientConfig(version int) *plugin.ClientConfig {
	to, err := net.ResolveTCPAddr("tcp", v.addr)
	if err != nil {
		v.t.Fatal(err)
	}
	set := plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{}, commons.PingPongerKind: &commons.PingPongerPlugin{}}
	return &plugin.ClientConfig{
		HandshakeConfig:  commons.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{version: commons.Versions(set)[version]},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC},
		Reattach:         &plugin.ReattachConfig{Addr: to, RequireHandshake: true},
		MaxMessageBytes:  -1,
		Logger:           hclog.NewNullLogger(),
	}
}

// attach makes a session that lasts until the end of the test, and a greeter of it.
func (v *victim) attach(version int) (*plugin.Session, commons.Greeter) {
	v.t.Helper()
	return attach(v.t, v.clientConfig(version))
}

// attach does so with a configuration of the caller's.
func attach(t *testing.T, config *plugin.ClientConfig) (*plugin.Session, commons.Greeter) {
	t.Helper()
	s, err := plugin.Attach(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	g, err := s.Dispense(commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	return s, g.(commons.Greeter)
}

// newcomers are honest hosts that attach, call and detach one after the other.
func (v *victim) newcomers(config func(version int) *plugin.ClientConfig) *honest {
	version := commons.VersionNetRPC
	return keepAsking(v.t, func() error {
		version = commons.VersionNetRPC + commons.VersionGRPC - version // in turns
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s, err := plugin.Attach(ctx, config(version))
		if err != nil {
			return err
		}
		defer s.Close()
		g, err := s.Dispense(commons.GreeterKind)
		if err != nil {
			return err
		}
		_, err = g.(commons.Greeter).Greet("Ada")
		return err
	})
}

// dial connects to the victim, or to another of its addresses.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// hungUp waits until the other side has hung up. It gives what came until then, as
// far as limit bytes.
func hungUp(conn net.Conn, limit int64) (string, error) {
	said, err := io.ReadAll(io.LimitReader(conn, limit))
	switch {
	case isTimeout(err):
		return string(said), fmt.Errorf("the connection is still open; it said %.200q", said)
	case int64(len(said)) == limit:
		return string(said), fmt.Errorf("it says more than %d bytes: %.200q", limit, said)
	}
	return string(said), nil
}

// isTimeout reports whether the patience with a connection has ended.
func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}
