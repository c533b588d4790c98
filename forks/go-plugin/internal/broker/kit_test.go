// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"net"
	"net/rpc"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pairs make a host's broker and its plugin's, which wait so long for each other.
var pairs = map[string]func(t testing.TB, patience time.Duration) (host, plugin *Broker){
	"listeners": func(t testing.TB, patience time.Duration) (host, plugin *Broker) {
		return pair(t, Listeners(ListenerConfig{}), patience)
	},
	"streams": streamPair,
}

// streamPair is a host's broker and its plugin's in a session with the feature mux.
func streamPair(t testing.TB, patience time.Duration) (host, plugin *Broker) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	here, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	pluginSession := mux.NewPlugin(there, mux.PluginConfig{Control: rpc.NewServer(),
		Accept: mux.Acceptors{mux.Brokered: func(s *mux.Stream) error { return plugin.Admit(s) }}})
	hostSession := mux.NewHost(here, mux.HostConfig{
		Accept: mux.Acceptors{mux.Brokered: func(s *mux.Stream) error { return host.Admit(s) }}})
	config := func(dial func(context.Context, uint32) (*mux.Stream, error)) Config {
		cfg := testConfig(Streams(dial))
		cfg.Wait = patience
		return cfg
	}
	host, plugin = New(config(hostSession.Dial)), New(config(pluginSession.Dial))
	var ends wait.Group
	ends.Go(func() { _ = serve(pluginSession) })
	ends.Go(func() { _ = hostSession.Channel(0).ReadHeader(&rpc.Response{}) }) // until the session has ended
	t.Cleanup(func() {
		host.Close()
		plugin.Close()
		_ = hostSession.Close()
		ends.Wait()
	})
	return host, plugin
}

// serve serves the plugin's side of a session, and returns why that has ended.
func serve(p *mux.Plugin) error {
	ended := make(chan error, 1)
	go p.Serve(func(err error) { ended <- err })
	return <-ended
}

// pluginServices bring a plugin's broker what its host sends.
type pluginServices struct {
	pluginpb.UnimplementedGRPCBrokerServer
	b *Broker
}

func (s *pluginServices) StartStream(stream pluginpb.GRPCBroker_StartStreamServer) error {
	return s.b.ServeLink(stream)
}

// testConfig is that of a broker without a session.
func testConfig(t Transport) Config {
	return Config{Logger: hclog.NewNullLogger(), Transport: t}
}

// pair is a host's broker and its plugin's over a real socket.
func pair(t testing.TB, transport Transport, patience time.Duration) (host, plugin *Broker) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(transport)
	cfg.Wait = patience
	plugin = New(cfg)
	server := grpc.NewServer()
	pluginpb.RegisterGRPCBrokerServer(server, &pluginServices{b: plugin})
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host = &Host{Conn: conn, Done: context.Background(), Lost: func(error) {}}
	host = New(cfg)
	t.Cleanup(func() {
		host.Close()
		_ = conn.Close()
		server.Stop()
		serving.Wait()
		plugin.Close()
	})
	return host, plugin
}

// connection dials id once.
func connection(ctx context.Context, b *Broker, id uint32) (net.Conn, error) {
	d, err := b.transport.dialer(ctx, id)
	if err != nil {
		return nil, err
	}
	return d.dial(ctx)
}
