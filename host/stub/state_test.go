// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// memory is a plugin that is configured before it answers, and remembers how often.
type memory struct {
	mu         sync.Mutex
	history    []string // of Init and Configure
	refuse     string   // a configuration that it does not take
	configured string
	hold       func() // called by the next Configure; may be nil
	hang       bool   // Configure waits for the end of its context
}

func (m *memory) Init(in string, out *string) error { return m.note("init "+in, out) }

func (m *memory) Configure(ctx context.Context, in string, out *string) error {
	m.mu.Lock()
	hold, hang := m.hold, m.hang
	m.hold = nil
	m.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if hold != nil {
		hold()
	}
	m.mu.Lock()
	refused := m.refuse == in
	if !refused {
		m.configured = in
	}
	m.mu.Unlock()
	if refused {
		return errors.New("this one does not take it")
	}
	return m.note("configure "+in, out)
}

func (m *memory) note(what string, out *string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history = append(m.history, what)
	*out = what
	return nil
}

// Look needs no configuration.
func (m *memory) Look(string, *string) error { return nil }

func (m *memory) Ask(in string, out *string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.configured == "" {
		return errors.New("not configured")
	}
	*out = m.configured + "/" + in
	return nil
}

func (m *memory) seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.history, ", ")
}

// memoryGlue carries a memory over both protocols.
type memoryGlue struct{ *memory }

func (g memoryGlue) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(g.memory), nil
}

func (memoryGlue) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.ErrUnsupported
}

func (g memoryGlue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	method := func(name string, run func(string, *string) error) grpc.MethodDesc {
		return textMethod(name, func(any) text {
			return func(_ context.Context, in string) (out string, err error) { return out, run(in, &out) }
		})
	}
	configure := grpc.MethodDesc{MethodName: "Configure", Handler: _Memory_Configure_Handler}
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Memory", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{method("Init", g.Init), configure, method("Ask", g.Ask), method("Look", g.Look)},
	}, g.memory)
	return nil
}

// _Memory_Configure_Handler is as protoc-gen-go-grpc writes it: once the plugin's server has run it,
// it is run without gRPC's, which would answer at the deadline whatever the method does.
//
//nolint:revive // the name is part of that
func _Memory_Configure_Handler(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := dec(in); err != nil {
		return nil, err
	}
	handler := func(ctx context.Context, req any) (any, error) {
		var out string
		err := srv.(*memory).Configure(ctx, req.(*wrapperspb.StringValue).GetValue(), &out)
		return wrapperspb.String(out), err
	}
	if intercept == nil {
		return handler(ctx, in)
	}
	return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Memory/Configure"}, handler)
}

func (memoryGlue) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// memories are pods with a memory each, a crew to them, and how to call them.
type memories struct {
	pods     []*pod
	memories []*memory
	crew     *crew
	state    *State
	methods  methodOptions
	look     func() error // calls a method on a stub without a state

	callWithin caller
}

// caller calls a method within a context.
type caller func(ctx context.Context, method, in string) (string, error)

func (m *memories) call(method, in string) (string, error) {
	return m.callWithin(context.Background(), method, in)
}

func startMemories(t *testing.T, protocol plugin.Protocol, affinity bool) *memories {
	t.Helper()
	m := &memories{state: NewState()}
	for i := range 3 {
		one := new(memory)
		m.memories = append(m.memories, one)
		m.pods = append(m.pods, startPod(t, fmt.Sprint(i), plugin.PluginSet{"memory": memoryGlue{one}}, protocol == plugin.ProtocolGRPC))
	}
	m.crew = startCrew(t, m.pods, protocol)
	m.crew.awaitReady(t, len(m.pods))
	t.Cleanup(m.state.Close)
	m.methods = methodOptions{"Init": {Replay: true}, "Configure": {Replay: true}, "Ask": {Idempotent: true}}
	m.callWithin = m.caller(t, protocol, Config{Router: m.crew, State: m.state, Affinity: affinity, Methods: m.methods})
	return m
}

// caller calls through a stub, which lasts as long as the test.
func (*memories) caller(t *testing.T, protocol plugin.Protocol, config Config) caller {
	t.Helper()
	if protocol == plugin.ProtocolGRPC {
		s, err := NewGRPC(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return func(ctx context.Context, method, in string) (string, error) {
			return callText(ctx, s.Conn, "/test.Memory/"+method, in)
		}
	}
	s := mustRPC(t, "memory", config)
	t.Cleanup(func() { _ = s.Close() })
	return func(ctx context.Context, method, in string) (out string, err error) {
		return out, plugin.CallContext(ctx, s.Client, "Plugin."+method, in, &out)
	}
}

func (m *memories) must(t *testing.T, method, in, want string) {
	t.Helper()
	if got, err := m.call(method, in); err != nil || got != want {
		t.Fatalf("%s(%s): got %q and %v, want %q", method, in, got, err, want)
	}
}

func forBothProtocols(t *testing.T, run func(*testing.T, plugin.Protocol)) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) { run(t, protocol) })
	}
}

// TestReplay has three endpoints of which any may get any call, and which are restarted.
func TestReplay(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := startMemories(t, protocol, false)
		m.must(t, "Init", "i", "init i")
		m.must(t, "Configure", "a", "configure a")
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				if got, err := m.call("Ask", fmt.Sprint(i)); err != nil || got != fmt.Sprintf("a/%d", i) {
					t.Errorf("call %d: %q and %v", i, got, err)
				}
			})
		}
		all.Wait()
		for i, one := range m.memories {
			if diff := cmp.Diff("init i, configure a", one.seen()); diff != "" {
				t.Errorf("endpoint %d was told (-want +got)\n%s", i, diff)
			}
		}

		// The newest configuration counts, and nothing is sent to those that have it.
		m.must(t, "Configure", "b", "configure b")
		for i := range 9 {
			m.must(t, "Ask", fmt.Sprint(i), fmt.Sprintf("b/%d", i))
		}
		for i, one := range m.memories {
			if diff := cmp.Diff("init i, configure a, configure b", one.seen()); diff != "" {
				t.Errorf("endpoint %d was told (-want +got)\n%s", i, diff)
			}
		}

		// A restarted one is told everything again.
		for _, one := range m.memories {
			one.mu.Lock()
			one.history, one.configured = nil, ""
			one.mu.Unlock()
		}
		m.crew.reattach(t, func() {
			for _, p := range m.pods {
				p.cut()
			}
		}, m.pods...)
		for i := range 9 {
			m.must(t, "Ask", fmt.Sprint(i), fmt.Sprintf("b/%d", i))
		}
		if diff := cmp.Diff("init i, configure b", m.memories[0].seen()); diff != "" {
			t.Errorf("after a restart an endpoint was told (-want +got)\n%s", diff)
		}
	})
}

// TestReplayRefused has an endpoint that does not take what the others have accepted: it
// gets no calls, and when there is no other the call's error says why.
func TestReplayRefused(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := startMemories(t, protocol, false)
		m.must(t, "Configure", "a", "configure a")
		last := 0
		for i, one := range m.memories {
			if one.seen() == "" {
				one.refuse, last = "a", i
			}
		}
		for i := range 9 {
			m.must(t, "Ask", fmt.Sprint(i), fmt.Sprintf("a/%d", i))
		}
		for i, p := range m.pods {
			if i != last {
				p.drain(t)
			}
		}
		m.crew.awaitReady(t, 1)
		_, err := m.call("Ask", "x")
		fault, ok := Cause(err)
		refused, told := errors.AsType[*ReplayError](err)
		if !ok || fault.MayHaveRun || fault.Reason != ReasonUnavailable || !told || refused.Method != "Configure" {
			t.Errorf("with none that takes the configuration: %v", err)
		}
	})
}

// TestAffinity has calls keep to one endpoint, and tells of its loss.
func TestAffinity(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := startMemories(t, protocol, true)
		m.must(t, "Configure", "a", "configure a")
		for i := range 30 {
			m.must(t, "Ask", fmt.Sprint(i), fmt.Sprintf("a/%d", i))
		}
		var kept *pod
		for i, one := range m.memories {
			if one.seen() != "" {
				kept = m.pods[i]
			}
		}
		select {
		case <-m.state.Lost():
			t.Fatal("the endpoint lives, and is told to be lost")
		default:
		}
		m.crew.reattach(t, kept.cut, kept)
		<-m.state.Lost()
		for range 3 {
			_, err := m.call("Ask", "x")
			if _, ok := Cause(err); !ok || !errors.Is(err, ErrAffinityLost) {
				t.Fatalf("after the loss: %v", err)
			}
		}
		m.state.Renew()
		m.must(t, "Configure", "b", "configure b")
		m.must(t, "Ask", "x", "b/x")
	})
}
