// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

// outcomes is a Router that notes what becomes of the leases of another one.
type outcomes struct {
	balancer.Router

	mu  sync.Mutex
	got []balancer.Outcome
}

// Pick implements balancer.Router.
func (o *outcomes) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	lease, err := o.Router.Pick(ctx, protocol, tried)
	if err != nil {
		return nil, err
	}
	return &notedLease{lease, o}, nil
}

func (o *outcomes) seen() []balancer.Outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got)
}

type notedLease struct {
	balancer.Lease
	outcomes *outcomes
}

// Done implements balancer.Lease.
func (l *notedLease) Done(out balancer.Outcome) {
	l.outcomes.mu.Lock()
	l.outcomes.got = append(l.outcomes.got, out)
	l.outcomes.mu.Unlock()
	l.Lease.Done(out)
}

// startNoted has one endpoint whose Configure waits until release is called, and notes
// what becomes of leases.
func startNoted(t *testing.T, protocol plugin.Protocol) (m *memories, noted *outcomes, arrived <-chan struct{}, release func()) {
	t.Helper()
	m = startMemories(t, protocol, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[0])
	noted = &outcomes{Router: router}
	m.callWithin = m.caller(t, protocol, Config{Router: noted, State: NewState(), Methods: m.methods})
	arrived, release = m.memories[0].holding()
	t.Cleanup(release)
	return m, noted, arrived, release
}

// TestTurnIsNoTimeout has a call wait in vain behind a slow Configure of another caller:
// nothing was sent, and the endpoint is as healthy as before.
func TestTurnIsNoTimeout(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, noted, arrived, release := startNoted(t, protocol)
		first := m.begin(t.Context(), "Configure", "a")
		<-arrived
		ctx, cancel := context.WithTimeout(t.Context(), channelWait+channelWait/2)
		defer cancel()
		_, err := m.callWithin(ctx, "Configure", "b")
		f, ok := Cause(err)
		if !ok || f.MayHaveRun || f.Reason != ReasonUnavailable {
			t.Errorf("the call that waited ended with %v", err)
		}
		if want := "the call waits behind another request that the endpoint remembers (Configure)"; !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
		for _, o := range noted.seen() {
			if o != balancer.NotSent {
				t.Errorf("a lease of a call that waited came back as %v", o)
			}
		}
		release()
		if got := <-first; got.err != nil {
			t.Error(got.err)
		}
	})
}

// TestTurnElsewhere has a call find another endpoint when the turn of its first does not come.
func TestTurnElsewhere(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, router, release, ask, _ := startAimed(t, protocol)
		defer release()
		router.at.Store(m.pods[0])
		got := <-ask
		if got.err != nil || got.reply != "a/x" {
			t.Errorf("a call behind a slow replay got %+v", got)
		}
	})
}

// Begin implements balancer.Renewable.
func (l *notedLease) Begin() bool { return l.Lease.(balancer.Renewable).Begin() }

// startSecond has a first endpoint that has accepted a configuration, and calls that go to
// the second one. The timeout is that of Configure.
func startSecond(t *testing.T, protocol plugin.Protocol, timeout time.Duration) (m *memories, noted *outcomes) {
	t.Helper()
	m = startMemories(t, protocol, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[0])
	noted = &outcomes{Router: router}
	m.methods["Configure"] = CallOptions{Replay: true, Timeout: timeout}
	m.callWithin = m.caller(t, protocol, Config{Router: noted, State: NewState(), Methods: m.methods})
	m.must(t, "Configure", "a", "configure a")
	router.at.Store(m.pods[1])
	return m, noted
}

func isReplayTimeout(err error, p *pod) bool {
	r, ok := errors.AsType[*ReplayError](err)
	f, failed := Cause(err)
	return ok && failed && !f.MayHaveRun && r.Method == "Configure" && r.Endpoint == memberName(p) && errors.Is(r, ErrTimeout)
}

// TestReplayEndsByItsTimeout has a plugin wait for the end of a replay's context: it comes,
// counts against the endpoint, and the next one finds it well.
func TestReplayEndsByItsTimeout(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, noted := startSecond(t, protocol, channelWait/2)
		second := m.memories[1]
		hang := func(on bool) {
			second.mu.Lock()
			defer second.mu.Unlock()
			second.hang = on
		}
		hang(true)
		before := len(noted.seen())
		if _, err := m.call("Ask", "x"); !isReplayTimeout(err, m.pods[1]) {
			t.Errorf("with a replay that ends by its timeout: %v", err)
		}
		late := 0
		for _, o := range noted.seen()[before:] {
			if o == balancer.TimedOut {
				late++
			}
		}
		if late != 1 {
			t.Errorf("outcomes %v, want one that timed out", noted.seen()[before:])
		}
		hang(false)
		m.must(t, "Ask", "x", "a/x")
	})
}

// TestReplayThatNeverEnds has a plugin take no notice of a replay's timeout: over net/rpc
// calls wait no longer behind it, and say so; what comes after it waits for its end.
func TestReplayThatNeverEnds(t *testing.T) {
	m, noted := startSecond(t, plugin.ProtocolNetRPC, channelWait/2)
	_, release := m.memories[1].holding()
	t.Cleanup(release)
	for range 2 {
		if _, err := m.call("Ask", "x"); !isReplayTimeout(err, m.pods[1]) {
			t.Errorf("behind a replay that does not end: %v", err)
		}
	}
	if !slices.Contains(noted.seen(), balancer.TimedOut) {
		t.Errorf("outcomes %v, want one that timed out", noted.seen())
	}
	release()
	for m.memories[1].seen() != "configure a" {
	}
	for {
		if got, err := m.call("Ask", "y"); err == nil {
			if got != "a/y" {
				t.Errorf("got %q", got)
			}
			break
		} else if !isReplayTimeout(err, m.pods[1]) {
			t.Fatal(err)
		}
	}
}

// panicking is a codec that panics with whatever it is to send.
type panicking struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (panicking) Marshal(any) (mem.BufferSlice, error) { panic("cannot") }

// panickingCredentials panic when a call is to be made with them.
type panickingCredentials struct{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (panickingCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	panic("none")
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (panickingCredentials) RequireTransportSecurity() bool { return false }

// TestGRPCPanicGivesBack has a codec panic under a caller that recovers, and credentials under
// one that opens a stream: the lease and the turn are free again.
func TestGRPCPanicGivesBack(t *testing.T) {
	m := startMemories(t, plugin.ProtocolGRPC, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[0])
	s, err := NewGRPC(Config{Router: router, State: NewState(), Methods: m.methods})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, method := range []string{"Ask", "Configure"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", method)
				}
			}()
			codec := grpc.ForceCodecV2(panicking{encoding.GetCodecV2(proto.Name)})
			_ = s.Conn.Invoke(t.Context(), "/test.Memory/"+method, wrapperspb.String("x"), new(wrapperspb.StringValue), codec)
		}()
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a stream is opened")
			}
		}()
		_, _ = s.Conn.NewStream(t.Context(), chatting, "/test.Memory/Watch", grpc.PerRPCCredentials(panickingCredentials{}))
	}()
	if n := m.crew.leases.Load(); n != 0 {
		t.Errorf("%d leases were not given back", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*channelWait)
	defer cancel()
	if _, err := callText(ctx, s.Conn, "/test.Memory/Configure", "a"); err != nil {
		t.Error(err)
	}
}
