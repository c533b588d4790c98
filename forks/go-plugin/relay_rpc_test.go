// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// handOn is an RPCRelay to a session.
type handOn struct {
	session *plugin.Session
	host    atomic.Pointer[plugin.MuxBroker]
}

func (r *handOn) Dispense(kind string, host *plugin.MuxBroker) (func(net.Conn), error) {
	host.Forward(r.session.MuxBroker().Dial)
	r.host.Store(host)
	conn, err := r.session.DialRPC(kind)
	if err != nil {
		return nil, err
	}
	return func(from net.Conn) {
		var both wait.Group
		for _, way := range [][2]net.Conn{{from, conn}, {conn, from}} {
			both.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
			})
		}
		both.Wait()
	}, nil
}

func (*handOn) Server(*plugin.MuxBroker) (any, error) {
	return nil, errors.New("Server was called, not Dispense")
}

func (*handOn) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return nil, errors.ErrUnsupported }

// TestRPCRelay has a process between a host and a plugin that knows nothing of the two,
// and hands calls and brokered streams on in both directions.
func TestRPCRelay(t *testing.T) {
	p := serveEcho(t, nil)
	relay := new(handOn)
	config := p.clientConfig()
	config.Plugins = plugin.PluginSet{}
	config.RawRPC = true
	config.Broker = newSharedBroker(t)
	config.Broker.Forward(func(id uint32) (net.Conn, error) { return relay.host.Load().Dial(id) }, nil)
	var err error
	if relay.session, err = plugin.Attach(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.session.Close() })

	hostSide, relaySide := plugin.TestConn(t)
	server := &plugin.RPCServer{Plugins: plugin.PluginSet{plugin.AnyKind: relay}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.ServeConn(relaySide)
	}()
	client, err := plugin.NewRPCClient(hostSide, plugin.PluginSet{"echo": &echoPlugin{}, "none": &echoPlugin{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		<-served
	})
	for range 2 { // each kind may be dispensed again
		echo := dispenseEcho(t, client)
		if got, err := echo.Echo("hello"); got != "hello" || err != nil {
			t.Fatalf("Echo = %q, %v", got, err)
		}
		if err := echo.Fail(); err == nil || err.Error() != errEcho.Error() {
			t.Errorf("the plugin's error came as %v", err)
		}
		for i := range 3 {
			text := fmt.Sprint("callback ", i)
			if got, err := echo.(*echoClient).Via(text); got != text || err != nil {
				t.Errorf("callback reached %q, %v", got, err)
			}
		}
	}
	if _, err := client.Dispense("none"); err == nil || err.Error() != "unknown plugin type: none" {
		t.Errorf("a kind that the plugin lacks: %v", err)
	}
}

// TestSharedGRPCBrokerForward has plugins dial ids that nobody accepts, until the host
// hears of it.
func TestSharedGRPCBrokerForward(t *testing.T) {
	shared := newSharedBroker(t)
	conn := &turns{}
	host := shared.GRPCBroker(conn.broker)
	var wanted atomic.Int32
	shared.Forward(nil, func(id uint32) {
		wanted.Add(1)
		go host.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			return serveRelay(fmt.Sprint("forwarded ", id))(options)
		})
	})
	for _, name := range []string{"mux", "mux inside TLS"} {
		conn.pairs = append(conn.pairs, joined(t, shared, brokerCases[name]))
	}
	stub := &relay{broker: host, conn: conn}
	for id := range uint32(6) {
		want := fmt.Sprint("forwarded ", 100+id)
		if got, err := stub.call(t.Context(), "Via", fmt.Sprint(100+id)); got != want || err != nil {
			t.Errorf("callback reached %q, %v, want %q", got, err, want)
		}
	}
	if n := wanted.Load(); n != 6 {
		t.Errorf("the host heard of %d ids, want 6", n)
	}
}
