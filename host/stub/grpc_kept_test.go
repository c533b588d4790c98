// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

// foreignLease is a lease on a gRPC server that never heard of us.
type foreignLease struct {
	conn *grpc.ClientConn
	open *atomic.Int64
}

func (foreignLease) Endpoint() string                       { return "foreign" }
func (l foreignLease) Session() any                         { return l }
func (foreignLease) Ended() <-chan struct{}                 { return nil }
func (l foreignLease) Done(balancer.Outcome)                { l.open.Add(-1) }
func (l foreignLease) ClientConn() (*grpc.ClientConn, bool) { return l.conn, true }

// Pick implements balancer.Router.
func (l foreignLease) Pick(context.Context, string, []string) (balancer.Lease, error) {
	l.open.Add(1)
	return l, nil
}

// startForeign serves a memory over plain HTTP/2.
func startForeign(t *testing.T, opts ...grpc.DialOption) (*memory, foreignLease) {
	t.Helper()
	m := new(memory)
	server := grpc.NewServer()
	if err := (memoryGlue{m}).GRPCServer(nil, server); err != nil {
		t.Fatal(err)
	}
	return m, foreignLease{serveForeign(t, server, opts...), new(atomic.Int64)}
}

// serveForeign serves on a socket of its own, and connects to it.
func serveForeign(t *testing.T, server *grpc.Server, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return conn
}

// pointed is a Router whose picks go where a test says.
type pointed struct{ to atomic.Pointer[foreignLease] }

// Pick implements balancer.Router.
func (p *pointed) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	return p.to.Load().Pick(ctx, protocol, tried)
}

// bytesOnly is a codec of messages as they travelled.
type bytesOnly struct{}

func (bytesOnly) Name() string { return "bytes" }
func (bytesOnly) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}
func (bytesOnly) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// TestForeignOlderIsNotLast is TestOlderIsNotLast over plain HTTP/2, where a call that is
// cancelled has no answer: a newer request waits for the endpoint's answer to the older one.
func TestForeignOlderIsNotLast(t *testing.T) {
	m, lease := startForeign(t)
	arrived, release := m.holding()
	t.Cleanup(release)
	call := (*memories)(nil).caller(t, plugin.ProtocolGRPC, Config{Router: lease, State: NewState(), Methods: methodOptions{"Configure": {Replay: true}}})
	ctx, giveUp := context.WithCancel(t.Context())
	older := (&memories{callWithin: call}).begin(ctx, "Configure", "a")
	<-arrived
	giveUp()
	got := <-older
	if f, ok := Cause(got.err); !ok || f.Reason != ReasonCaller || !f.MayHaveRun || !errors.Is(got.err, context.Canceled) {
		t.Errorf("the caller that gave up was told %v", got.err)
	}
	newer := (&memories{callWithin: call}).begin(t.Context(), "Configure", "b")
	for range 100 {
		if _, err := callText(t.Context(), lease.conn, "/test.Memory/Look", ""); err != nil {
			t.Fatal(err)
		}
	}
	release()
	if got := <-newer; got.err != nil {
		t.Fatal(got.err)
	}
	if got := m.seen(); got != "configure a, configure b" {
		t.Errorf("the endpoint was told %q", got)
	}
	if n := lease.open.Load(); n != 0 {
		t.Errorf("%d leases were not given back", n)
	}
}

// TestGivenUpUnsent has a caller give up before its request could be sent: it is not sent later.
func TestGivenUpUnsent(t *testing.T) {
	dialled, connect := make(chan struct{}), make(chan struct{})
	m, lease := startForeign(t, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		close(dialled)
		<-connect
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}))
	call := (*memories)(nil).caller(t, plugin.ProtocolGRPC, Config{Router: lease, State: NewState(), Methods: methodOptions{"Configure": {Replay: true}}})
	ctx, giveUp := context.WithCancel(t.Context())
	older := (&memories{callWithin: call}).begin(ctx, "Configure", "a")
	<-dialled
	giveUp()
	got := <-older
	if f, ok := Cause(got.err); !ok || f.MayHaveRun || f.Reason != ReasonCaller {
		t.Errorf("the caller that gave up was told %v", got.err)
	}
	close(connect)
	if _, err := call(t.Context(), "Configure", "b"); err != nil {
		t.Fatal(err)
	}
	if got := m.seen(); got != "configure b" {
		t.Errorf("the endpoint was told %q", got)
	}
}

// TestGivenUpLeavesMemory has a caller use what it gave to a call again once it has given up,
// while the call goes on: it shares none of that, as the race detector would see.
func TestGivenUpLeavesMemory(t *testing.T) {
	m := startMemories(t, plugin.ProtocolGRPC, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[0])
	s, err := NewGRPC(Config{Router: router, State: NewState(), Methods: m.methods})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	arrived, release := m.memories[0].holding()
	defer release()
	var (
		in, out         = wrapperspb.String("a"), wrapperspb.String("mine")
		header, trailer metadata.MD
		from            peer.Peer
		finished        []error
	)
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := s.Conn.Invoke(ctx, "/test.Memory/Configure", in, out, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from),
			grpc.OnFinish(func(err error) { finished = append(finished, err) }))
		in.Value, out.Value, header, trailer, from = "another", "still mine", metadata.MD{}, metadata.MD{}, peer.Peer{}
		ended <- err
	}()
	<-arrived
	giveUp()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Fatal(err)
	}
	release()
	// It waits for the endpoint's answer.
	if _, err := callText(t.Context(), s.Conn, "/test.Memory/Configure", "b"); err != nil {
		t.Fatal(err)
	}
	if got := m.memories[0].seen(); got != "configure a, configure b" {
		t.Errorf("the endpoint was told %q", got)
	}
	if in.Value != "another" || out.Value != "still mine" || len(header)+len(trailer) != 0 || from.Addr != nil {
		t.Errorf("the caller finds %v, %v, %v, %v, %v", in, out, header, trailer, from.Addr)
	}
	if len(finished) != 1 || status.Code(finished[0]) != codes.Canceled {
		t.Errorf("the end of the call was told as %v", finished)
	}
}

// TestCloseEndsGivenUp closes the stub of a call that goes on without its caller: its turn is
// free for other stubs of the plugin, and nothing is left.
func TestCloseEndsGivenUp(t *testing.T) {
	m, lease := startForeign(t)
	arrived, release := m.holding()
	t.Cleanup(release)
	config := Config{Router: lease, State: NewState(), Methods: methodOptions{"Configure": {Replay: true}}}
	s, err := NewGRPC(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := callText(ctx, s.Conn, "/test.Memory/Configure", "a")
		ended <- err
	}()
	<-arrived
	giveUp()
	<-ended
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := (*memories)(nil).caller(t, plugin.ProtocolGRPC, config)
	if _, err := other(t.Context(), "Configure", "b"); err != nil {
		t.Error(err)
	}
}

// shouting is a codec of a caller's own.
type shouting struct{ encoding.Codec }

func (shouting) Name() string { return "shout" }
func (shouting) Marshal(v any) ([]byte, error) {
	return []byte(strings.ToUpper(v.(*wrapperspb.StringValue).Value)), nil
}
func (shouting) Unmarshal(data []byte, v any) error {
	v.(*wrapperspb.StringValue).Value = string(data)
	return nil
}

// TestKeptOptions has calls that endpoints remember arrive with all that travels beside them,
// in whatever codec their callers choose, and come again as they were.
func TestKeptOptions(t *testing.T) {
	type arrival struct{ content, mark, message string }
	var arrivals [2]chan arrival
	var leases [2]foreignLease
	for i := range leases {
		arrivals[i] = make(chan arrival, 10)
		server := grpc.NewServer(grpc.ForceServerCodecV2(bytesOnly{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			var in []byte
			if err := s.RecvMsg(&in); err != nil {
				return err
			}
			md, _ := metadata.FromIncomingContext(s.Context())
			arrivals[i] <- arrival{md.Get("content-type")[0], strings.Join(md.Get("mark"), ""), string(in)}
			s.SetTrailer(metadata.Pairs("end", "of it"))
			_ = s.SetHeader(metadata.Pairs("seen", "it"))
			return s.SendMsg(&in)
		}))
		leases[i] = foreignLease{serveForeign(t, server), new(atomic.Int64)}
	}
	proto := encoding.GetCodecV2(proto.Name)
	cases := map[string]struct {
		opts             []grpc.CallOption
		content, message string
	}{
		"default":     {nil, "application/grpc", "\n\x01a"},
		"proto":       {[]grpc.CallOption{grpc.ForceCodecV2(proto)}, "application/grpc+proto", "\n\x01a"},
		"old":         {[]grpc.CallOption{grpc.ForceCodec(shouting{})}, "application/grpc+shout", "A"},
		"last":        {[]grpc.CallOption{grpc.ForceCodecV2(proto), grpc.ForceCodec(shouting{})}, "application/grpc+shout", "A"},
		"own subtype": {[]grpc.CallOption{grpc.CallContentSubtype("x"), grpc.ForceCodec(shouting{})}, "application/grpc+x", "A"},
		"subtype":     {[]grpc.CallOption{grpc.CallContentSubtype("proto")}, "application/grpc+proto", "\n\x01a"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			router := &pointed{}
			router.to.Store(&leases[0])
			s, err := NewGRPC(Config{Router: router, State: NewState(), Methods: methodOptions{"Set": {Replay: true}}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var header, trailer metadata.MD
			var from peer.Peer
			finished := 0
			out := new(wrapperspb.StringValue)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "mark", "m")
			opts := append(slices.Clone(tc.opts), grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from), grpc.OnFinish(func(error) { finished++ }))
			if err := s.Conn.Invoke(ctx, "/x.X/Set", wrapperspb.String("a"), out, opts...); err != nil {
				t.Fatal(err)
			}
			want := arrival{tc.content, "m", tc.message}
			if got := <-arrivals[0]; got != want {
				t.Errorf("arrived as %q, want %q", got, want)
			}
			if !strings.EqualFold(out.Value, "a") || header.Get("seen") == nil || trailer.Get("end") == nil || from.Addr == nil || finished != 1 {
				t.Errorf("the caller has %v, %v, %v, %v, finished %d times", out, header, trailer, from, finished)
			}
			router.to.Store(&leases[1])
			if err := s.Conn.Invoke(t.Context(), "/x.X/Get", wrapperspb.String("b"), out); err != nil {
				t.Fatal(err)
			}
			if got := <-arrivals[1]; got != want {
				t.Errorf("came again as %q, want %q", got, want)
			}
			<-arrivals[1]
		})
	}
	t.Run("unknown subtype", func(t *testing.T) {
		s, err := NewGRPC(Config{Router: leases[0], State: NewState(), Methods: methodOptions{"Set": {Replay: true}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		errs := make(map[string]error)
		for _, method := range []string{"Set", "Get"} {
			err := s.Conn.Invoke(t.Context(), "/x.X/"+method, wrapperspb.String("a"), new(wrapperspb.StringValue), grpc.CallContentSubtype("none"))
			errs[method] = errors.Unwrap(err)
		}
		if errs["Set"] == nil || errs["Set"].Error() != errs["Get"].Error() {
			t.Errorf("got %v, and gRPC says %v", errs["Set"], errs["Get"])
		}
		if n := leases[0].open.Load(); n != 0 {
			t.Errorf("%d leases were not given back", n)
		}
	})
}
