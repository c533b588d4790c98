// SPDX-License-Identifier: MPL-2.0

package tracing_test

import (
	"context"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/reattach/reattach/host/daemon"
	hosttracing "github.com/reattach/reattach/host/tracing"
	"github.com/reattach/reattach/tracing"
)

// asker is a plugin that asks its caller back before it answers.
type asker interface {
	Ask(ctx context.Context, about string) (string, error)
}

type askerPlugin struct{}

func (askerPlugin) Server(b *plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(&askerServer{b}), nil
}

func (askerPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &askerClient{b, c}, nil
}

// Question is what travels to the plugin.
type Question struct {
	About string
	Back  uint32
}

type askerServer struct{ broker *plugin.MuxBroker }

// Ask calls back with its own context.
func (s *askerServer) Ask(ctx context.Context, q Question, answer *string) error {
	back, err := s.broker.DialClient(q.Back)
	if err != nil {
		return err
	}
	defer back.Close()
	return plugin.CallContext(ctx, back, "Plugin.Answer", q.About, answer)
}

type askerClient struct {
	broker *plugin.MuxBroker
	rpc    *rpc.Client
}

func (c *askerClient) Ask(ctx context.Context, about string) (answer string, err error) {
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, plugin.ContextReceiver(answers{}))
	err = plugin.CallContext(ctx, c.rpc, "Plugin.Ask", Question{about, id}, &answer)
	return answer, err
}

// answers is what the plugin calls back.
type answers struct{}

// Answer repeats what it is asked about.
func (answers) Answer(_ context.Context, about string, answer *string) error {
	*answer = "no " + about
	return nil
}

// TestCallback holds that what a plugin calls back over net/rpc is in the trace of its call.
func TestCallback(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	handshake := plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ASKER", MagicCookieValue: "asker"}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: handshake, Plugins: plugin.PluginSet{"asker": askerPlugin{}}, Around: tracing.Around(provider),
			Logger: hclog.NewNullLogger(), Network: &plugin.NetworkConfig{Name: "asker", DrainTimeout: time.Second},
		})
	}()
	o := daemon.DefaultOptions()
	o.Handshake, o.Tracer, o.NetworkPlugins = handshake, hosttracing.New(provider), "asker="+lis.Addr().String()
	o.Kinds = []daemon.Kind{daemon.NewKind[asker]("asker", askerPlugin{})}
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	a, err := daemon.Dispense[asker](t.Context(), d, "asker", "asker")
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := a.Ask(t.Context(), "news"); err != nil || answer != "no news" {
		t.Fatalf("got %q, %v", answer, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	by := make(map[string]trace.ReadOnlySpan)
	for _, s := range spans.Ended() {
		by[s.Name()+" "+s.SpanKind().String()] = s
	}
	parent := ""
	for _, name := range []string{"asker/Ask internal", "asker/Ask client", "asker/Ask server", "Plugin/Answer server"} {
		s := by[name]
		if s == nil {
			t.Fatalf("there is no span %s", name)
		}
		if got := s.Parent().SpanID().String(); parent != "" && got != parent || s.SpanContext().TraceID() != by["asker/Ask internal"].SpanContext().TraceID() {
			t.Errorf("%s is beneath %s, want %s", name, got, parent)
		}
		parent = s.SpanContext().SpanID().String()
	}
	if strings.Contains(by["Plugin/Answer server"].Status().Description, "not") {
		t.Errorf("the callback failed: %v", by["Plugin/Answer server"].Status())
	}
}
