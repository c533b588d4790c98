// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// thing is what the tests' plugin serves.
type thing struct {
	held chan struct{} // one token for each call in Hold
	gate chan struct{} // closed: Hold returns
}

func newThing() *thing { return &thing{held: make(chan struct{}, 1000), gate: make(chan struct{})} }

func (*thing) Echo(in []byte, out *[]byte) error { *out = in; return nil }

func (*thing) Upper(in string, out *string) error { *out = strings.ToUpper(in); return nil }

func (*thing) Size(in []byte, out *int) error { *out = len(in); return nil }

func (*thing) Fail(in string, _ *struct{}) error { return errors.New(in) }

// Hold waits for the gate.
func (t *thing) Hold(struct{}, *struct{}) error {
	t.held <- struct{}{}
	<-t.gate
	return nil
}

// Open opens the gate.
func (t *thing) Open(struct{}, *struct{}) error { close(t.gate); return nil }

// Blank answers that many bytes.
func (*thing) Blank(n int, out *[]byte) error { *out = make([]byte, n); return nil }

// Odd answers what gob cannot encode.
func (*thing) Odd(_ struct{}, out *OddReply) error { out.V = func() {}; return nil }

type OddReply struct{ V any }

// clientCodec is how a rpc.Client uses a channel.
type clientCodec struct{ *Channel }

func (c clientCodec) WriteRequest(r *rpc.Request, args any) error {
	for {
		_, err := c.Send(Request{Method: r.ServiceMethod, Number: r.Seq}, args)
		if !errors.Is(err, ErrFull) {
			return err
		}
		_ = c.Await(context.Background())
	}
}

func (c clientCodec) ReadResponseHeader(r *rpc.Response) error { return c.ReadHeader(r) }

func (c clientCodec) ReadResponseBody(body any) error {
	err := c.ReadReply(reflectOf(body))
	if body == nil && HasNoReply(err) {
		return nil
	}
	if err != nil {
		_ = c.Close()
		for c.ReadHeader(&rpc.Response{}) == nil {
			_ = c.ReadReply(reflect.Value{})
		}
	}
	return err
}

func reflectOf(body any) (target reflect.Value) {
	if body != nil {
		target = reflect.ValueOf(body)
	}
	return target
}

// pair is a session, both ends of it.
type pair struct {
	t      testing.TB
	host   *Host
	plugin *Plugin
	served chan error // what Serve returned
}

// newPair starts a session on a connection. Both ends have ended when the test
// has.
func newPair(t testing.TB, here, there net.Conn, host HostConfig, plugin PluginConfig) *pair {
	t.Helper()
	if plugin.Control == nil {
		plugin.Control = rpc.NewServer()
	}
	p := &pair{t: t, plugin: NewPlugin(there, plugin), served: make(chan error, 1)}
	go func() { p.served <- serve(p.plugin) }()
	p.host = NewHost(here, host)
	t.Cleanup(p.end)
	return p
}

// serve serves the plugin's side of a session, and returns why that has ended.
func serve(p *Plugin) error {
	ended := make(chan error, 1)
	go p.Serve(func(err error) { ended <- err })
	return <-ended
}

// end ends the session from the host's side, and waits for the plugin.
func (p *pair) end() {
	_ = p.host.Close()
	err := <-p.served
	p.served <- err
}

// serve serves v as "Plugin" on a channel of its own.
func (p *pair) serve(v any) *Channel {
	p.t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", v); err != nil {
		p.t.Fatal(err)
	}
	id, err := p.plugin.Register(server)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.host.Channel(id)
}

// open opens a channel of a kind.
func (p *pair) open(kind string) *rpc.Client {
	p.t.Helper()
	c, err := p.host.Open(kind)
	if err != nil {
		p.t.Fatal(err)
	}
	return rpc.NewClientWithCodec(clientCodec{c})
}

// client returns a client of v.
func (p *pair) client(v any) *rpc.Client {
	p.t.Helper()
	c := rpc.NewClientWithCodec(clientCodec{p.serve(v)})
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// awaitParked waits until the reader of a channel waits for the connection.
func (p *pair) awaitParked(c *Channel) {
	p.t.Helper()
	testkit.Eventually(p.t, "the channel's reader waits for the connection", func() bool {
		p.host.mu.Lock()
		defer p.host.mu.Unlock()
		return p.host.parked == c
	})
}

// connections are the kinds of connection that a session is tried on.
func connections() map[string]func(testing.TB) (here, there net.Conn) {
	return map[string]func(testing.TB) (net.Conn, net.Conn){
		"pipe": func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
		"tcp":  tcpPair,
		"tls":  tlsPair,
	}
}

func tcpPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if here, err = net.Dial("tcp", lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return here, there
}

func tlsPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	here, there = tcpPair(t)
	return tlsOn(t, here, there)
}

// tlsOn speaks TLS on a connection.
func tlsOn(t testing.TB, here, there net.Conn) (client, server *tls.Conn) {
	t.Helper()
	authority := testkit.NewAuthority(t, "authority", nil)
	pair := authority.Issue(t, &x509.Certificate{DNSNames: []string{"plugin"}})
	client = tls.Client(NewOverflowConn(here), &tls.Config{RootCAs: authority.Pool(), ServerName: "plugin"})
	server = tls.Server(NewOverflowConn(there), &tls.Config{Certificates: []tls.Certificate{pair}})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// onEach runs a test on each kind of connection.
func onEach(t *testing.T, test func(t *testing.T, here, there net.Conn)) {
	for name, connect := range connections() {
		t.Run(name, func(t *testing.T) {
			here, there := connect(t)
			test(t, here, there)
		})
	}
}

// counter is a Counter.
type counter struct{ begun, ended atomic.Int64 }

func (c *counter) Begin() { c.begun.Add(1) }

func (c *counter) End() { c.ended.Add(1) }
