// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

var testHandshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "TEST_PLUGIN", MagicCookieValue: "hello"}

// servedPlugin is a network plugin that runs inside the test.
type servedPlugin struct {
	addr *net.TCPAddr
	impl *echoImpl
	stop context.CancelFunc // as SIGTERM does
	done chan error         // what ServeListener returned
}

// serveEcho serves an echo plugin on the loopback address. change may be nil.
func serveEcho(t *testing.T, change func(*plugin.ServeConfig)) *servedPlugin {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &servedPlugin{addr: lis.Addr().(*net.TCPAddr), impl: newEchoImpl(), stop: cancel, done: make(chan error, 1)}
	opts := &plugin.ServeConfig{
		HandshakeConfig: testHandshake,
		Plugins:         plugin.PluginSet{"echo": &echoPlugin{impl: p.impl}},
		Logger:          hclog.NewNullLogger(),
		Network:         &plugin.NetworkConfig{Name: "echo-test", DrainTimeout: 10 * time.Second},
	}
	if change != nil {
		change(opts)
	}
	go func() { p.done <- plugin.ServeListener(ctx, lis, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-p.done; err != nil {
			t.Errorf("ServeListener: %v", err)
		}
	})
	return p
}

// clientConfig is what a host of the served plugin uses.
func (p *servedPlugin) clientConfig() *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig: testHandshake,
		Plugins:         plugin.PluginSet{"echo": &echoPlugin{}},
		Reattach:        &plugin.ReattachConfig{Addr: p.addr},
		Logger:          hclog.NewNullLogger(),
	}
}

func (p *servedPlugin) attach(t *testing.T) *plugin.Session {
	t.Helper()
	session, err := plugin.Attach(t.Context(), p.clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func dispenseEcho(t *testing.T, from interface {
	Dispense(string) (interface{}, error)
}) echoer {
	t.Helper()
	raw, err := from.Dispense("echo")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(echoer)
}

func TestAttachNegotiatesAndCalls(t *testing.T) {
	p := serveEcho(t, nil)
	session := p.attach(t)

	want := &plugin.PeerInfo{
		Core: plugin.CoreProtocolVersion, Version: 1, Protocol: "netrpc", Name: "echo-test", Features: []string{hello.FeatureGoAway, hello.FeatureMux},
		Kinds: []hello.Kind{{Name: "echo", Methods: []hello.Method{
			{Name: "Echo", Args: "string", Reply: "string"},
			{Name: "Fail", Args: "struct {}", Reply: "struct {}"},
			{Name: "Hold", Args: "struct {}", Reply: "string"},
			{Name: "Version", Args: "struct {}", Reply: "int"},
			{Name: "Via", Args: "uint32", Reply: "string"},
		}}},
	}
	want.MaxMessage = plugin.DefaultMaxMessageBytes
	got := *session.Info()
	if got.Instance == "" || got.Build == nil {
		t.Errorf("instance %q and build %v, want both", got.Instance, got.Build)
	}
	got.Instance, got.Build = "", nil
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}

	echo := dispenseEcho(t, session)
	if reply, err := echo.Echo("over there"); reply != "over there" || err != nil {
		t.Errorf("Echo = %q, %v", reply, err)
	}
	if reply, err := echo.Via("and back"); reply != "and back" || err != nil {
		t.Errorf("Via = %q, %v", reply, err)
	}
	if err := session.Ping(); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func TestAttachRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*plugin.ClientConfig)
		want   string
		code   string
	}{
		"cookie": {
			reason: "a host of some other program has the wrong address and must be told so",
			change: func(c *plugin.ClientConfig) { c.MagicCookieValue = "goodbye" },
			want:   `TEST_PLUGIN`,
			code:   hello.CodeCookie,
		},
		"version": {
			reason: "the words are those that people know from upstream",
			change: func(c *plugin.ClientConfig) { c.ProtocolVersion = 2 },
			want:   "incompatible API version with plugin. Plugin version: 1, Client versions: [2]",
			code:   hello.CodeVersion,
		},
		"protocol": {
			reason: "a host without net/rpc cannot use a net/rpc plugin",
			change: func(c *plugin.ClientConfig) { c.AllowedProtocols = []plugin.Protocol{plugin.ProtocolGRPC} },
			want:   `unsupported plugin protocol "netrpc". Supported: [grpc]`,
			code:   hello.CodeProtocol,
		},
	}
	p := serveEcho(t, nil)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := p.clientConfig()
			tc.change(cfg)
			_, err := plugin.Attach(t.Context(), cfg)
			var refused *plugin.RefusedError
			if !errors.As(err, &refused) || refused.Code != tc.code {
				t.Fatalf("%s: error %v, want a refusal %q", tc.reason, err, tc.code)
			}
			for _, part := range []string{tc.want, p.addr.String()} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %q lacks %q", tc.reason, err, part)
				}
			}
		})
	}
}

func TestAttachChoosesHighestCommonVersion(t *testing.T) {
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins = nil
		o.VersionedPlugins = map[int]plugin.PluginSet{}
		for v := 1; v <= 3; v++ {
			o.VersionedPlugins[v] = plugin.PluginSet{"echo": &echoPlugin{impl: &echoImpl{version: v}}}
		}
	})
	cfg := p.clientConfig()
	cfg.Plugins = nil
	cfg.VersionedPlugins = map[int]plugin.PluginSet{1: {"echo": &echoPlugin{}}, 2: {"echo": &echoPlugin{}}, 7: {}}
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if session.Version() != 2 {
		t.Errorf("version %d, want 2", session.Version())
	}
	var served int
	stub := dispenseEcho(t, session).(*echoClient)
	if err := stub.client.Call("Plugin.Version", struct{}{}, &served); err != nil || served != 2 {
		t.Errorf("served version %d, %v, want 2", served, err)
	}
}

func TestKillDetaches(t *testing.T) {
	p := serveEcho(t, nil)
	other := dispenseEcho(t, p.attach(t))

	client := plugin.NewClient(p.clientConfig())
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := protocol.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	client.Kill()
	client.Kill()
	if _, err := client.Client(); !errors.Is(err, plugin.ErrDetached) {
		t.Errorf("Client after Kill: %v, want ErrDetached", err)
	}
	if _, err := other.Echo("still here"); err != nil {
		t.Errorf("another host: %v", err)
	}
}

// TestQuitEndsOneSession plays a host of the original library: no hello, and a
// Quit when it is done.
func TestQuitEndsOneSession(t *testing.T) {
	p := serveEcho(t, nil)
	other := dispenseEcho(t, p.attach(t))

	conn, err := net.Dial("tcp", p.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := plugin.NewRPCClient(conn, map[string]plugin.Plugin{"echo": &echoPlugin{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dispenseEcho(t, client).Echo("as ever"); err != nil {
		t.Errorf("host without hello: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Errorf("Quit: %v", err)
	}
	if _, err := other.Echo("still here"); err != nil {
		t.Errorf("another host: %v", err)
	}
}

func TestLostConnection(t *testing.T) {
	p := serveEcho(t, nil)
	proxy := newCutProxy(t, p.addr)
	cfg := p.clientConfig()
	cfg.Reattach = &plugin.ReattachConfig{Addr: proxy.addr()}
	client := plugin.NewClient(cfg)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	echo := dispenseEcho(t, protocol)
	if err := echo.Fail(); err == nil || errors.Is(err, plugin.ErrConnectionLost) || err.Error() != errEcho.Error() {
		t.Errorf("the plugin's own error came as %v", err)
	}

	held := make(chan error, 1)
	go func() {
		_, err := echo.Hold()
		held <- err
	}()
	<-p.impl.held
	session, err := client.Session()
	if err != nil {
		t.Fatal(err)
	}
	proxy.cut()
	if err := <-held; !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("call in flight ended with %v, want ErrConnectionLost", err)
	}
	<-session.Done()
	if !client.Exited() || !errors.Is(session.Err(), plugin.ErrConnectionLost) {
		t.Errorf("exited %v, session error %v", client.Exited(), session.Err())
	}
	close(p.impl.gate)

	again, err := client.Client()
	if err != nil {
		t.Fatalf("attach again: %v", err)
	}
	if _, err := dispenseEcho(t, again).Echo("back"); err != nil || client.Exited() {
		t.Errorf("after attaching again: %v, exited %v", err, client.Exited())
	}
}

func TestKeepaliveNoticesSilence(t *testing.T) {
	p := serveEcho(t, nil)
	proxy := newCutProxy(t, p.addr)
	cfg := p.clientConfig()
	cfg.Reattach = &plugin.ReattachConfig{Addr: proxy.addr()}
	cfg.KeepaliveInterval, cfg.PingTimeout = 20*time.Millisecond, 50*time.Millisecond
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	proxy.freeze()
	<-session.Done()
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) || !strings.Contains(err.Error(), "does not answer a ping") {
		t.Errorf("session ended with %v", err)
	}
}

func TestDrainFinishesCallsInFlight(t *testing.T) {
	p := serveEcho(t, nil)
	session := p.attach(t)
	echo := dispenseEcho(t, session)
	held := make(chan error, 1)
	go func() {
		_, err := echo.Hold()
		held <- err
	}()
	<-p.impl.held

	p.stop()
	<-session.Draining()
	if _, err := plugin.Attach(t.Context(), p.clientConfig()); err == nil {
		t.Error("a draining plugin took a new host")
	}
	if reply, err := echo.Via("a callback while draining"); err != nil {
		t.Errorf("Via while draining = %q, %v", reply, err)
	}
	close(p.impl.gate)
	if err := <-held; err != nil {
		t.Errorf("call in flight: %v", err)
	}
	<-session.Done()
}

func TestAttachToStrangers(t *testing.T) {
	cases := map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"web server": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "web server"},
		"silent":     {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "no answer to the handshake within"},
		"garbage":    {func(c net.Conn) { _, _ = c.Write([]byte("\xff\xfe\xfd garbage\n")) }, "does not speak the go-plugin handshake"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer lis.Close()
			go func() {
				for {
					conn, err := lis.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						tc.serve(conn)
					}()
				}
			}()
			cfg := (&servedPlugin{addr: lis.Addr().(*net.TCPAddr)}).clientConfig()
			cfg.DialTimeout = 200 * time.Millisecond
			_, err = plugin.Attach(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), lis.Addr().String()) {
				t.Errorf("error %v, want the address and %q", err, tc.want)
			}
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	p := serveEcho(t, func(o *plugin.ServeConfig) { o.Network.MaxSessions = 2 })
	first := p.attach(t)
	p.attach(t)
	_, err := plugin.Attach(t.Context(), p.clientConfig())
	var refused *plugin.RefusedError
	if !errors.As(err, &refused) || refused.Code != hello.CodeBusy {
		t.Fatalf("third host: %v, want busy", err)
	}
	_ = first.Close()
	testkit.Eventually(t, "a place is free again", func() bool {
		session, err := plugin.Attach(t.Context(), p.clientConfig())
		if err != nil {
			return false
		}
		return session.Close() == nil
	})
}

func TestTLSIsRequired(t *testing.T) {
	cert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	hostTLS, err := cert.ClientConfig(cert.Line())
	if err != nil {
		t.Fatal(err)
	}
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.TLSProvider = func() (*tls.Config, error) { return cert.ServerConfig(string(cert.PEM)) }
	})
	cfg := p.clientConfig()
	if _, err := plugin.Attach(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("plain host: %v, want to be told of TLS", err)
	}
	cfg.TLSConfig = hostTLS
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := dispenseEcho(t, session).Echo("in private"); err != nil {
		t.Error(err)
	}
	nameless := hostTLS.Clone()
	nameless.Certificates = nil
	cfg.TLSConfig = nameless
	if _, err := plugin.Attach(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a host without a certificate: %v, want to be told of it", err)
	}
}
