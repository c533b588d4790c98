// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/reattach/reattach/test/interop/peer/store/storepb"
)

// GRPC is the store over gRPC.
type GRPC struct {
	plugin.NetRPCUnsupportedPlugin

	Impl Store

	// Settle makes each side wait until it listens on a broker id before it
	// names it to the other. Nobody needs to, but with GRPCBrokerMultiplex
	// upstream's plugin may answer a knock before it has a listener, and then
	// ends the whole session.
	Settle bool
}

// GRPCServer registers the store.
func (p *GRPC) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	storepb.RegisterStoreServer(s, &grpcServer{impl: p.Impl, broker: b, settle: p.Settle})
	return nil
}

// GRPCClient returns a Stub.
func (p *GRPC) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (interface{}, error) {
	return &grpcStub{ctx: ctx, client: storepb.NewStoreClient(c), broker: b, settle: p.Settle}, nil
}

type grpcServer struct {
	storepb.UnimplementedStoreServer

	impl   Store
	broker *plugin.GRPCBroker
	settle bool
}

func (s *grpcServer) Put(_ context.Context, e *storepb.Entry) (*storepb.Nothing, error) {
	return &storepb.Nothing{}, s.impl.Put(e.GetKey(), e.GetValue())
}

func (s *grpcServer) Get(_ context.Context, k *storepb.Key) (*storepb.Entry, error) {
	value, err := s.impl.Get(k.GetKey())
	if err != nil {
		return nil, detailed(err, k)
	}
	return &storepb.Entry{Key: k.GetKey(), Value: value}, nil
}

// detailed gives an error a code of its own, and the key as a detail.
func detailed(err error, key *storepb.Key) error {
	s, failed := status.New(codes.NotFound, err.Error()).WithDetails(protoadapt.MessageV1Of(key))
	if failed != nil {
		return failed
	}
	return s.Err()
}

func (s *grpcServer) Act(_ context.Context, a *storepb.Action) (*storepb.Outcome, error) {
	out, err := s.impl.Act(Action{Do: a.GetDo(), Text: a.GetText(), N: a.GetN()})
	return &storepb.Outcome{Text: out.Text, N: out.N}, err
}

func (s *grpcServer) List(r *storepb.ListRequest, stream grpc.ServerStreamingServer[storepb.Entry]) error {
	for i := range r.GetCount() {
		e := listEntry(i)
		if err := stream.Send(&storepb.Entry{Key: e.Key, Value: e.Value}); err != nil {
			return err
		}
	}
	return nil
}

func (s *grpcServer) Collect(stream grpc.ClientStreamingServer[storepb.Entry, storepb.Outcome]) error {
	for n := int64(0); ; n++ {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return stream.SendAndClose(&storepb.Outcome{N: n})
		} else if err != nil {
			return err
		}
	}
}

func (s *grpcServer) Echo(stream grpc.BidiStreamingServer[storepb.Entry, storepb.Entry]) error {
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(e); err != nil {
			return err
		}
	}
}

func (s *grpcServer) UseCallback(_ context.Context, r *storepb.CallbackRequest) (*storepb.Outcome, error) {
	conn, err := s.broker.Dial(r.GetBrokerId())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	out, err := sumUp(&grpcAdder{storepb.NewAdderClient(conn)}, r.GetCount())
	return &storepb.Outcome{Text: out.Text, N: out.N}, err
}

func (s *grpcServer) OpenCallback(context.Context, *storepb.Nothing) (*storepb.CallbackRequest, error) {
	id := s.broker.NextId()
	listening := serveAdder(s.broker, id, NamedAdder("plugin"))
	if s.settle {
		<-listening
	}
	return &storepb.CallbackRequest{BrokerId: id}, nil
}

// serveAdder accepts id and serves the adder on it. The channel gives the server
// once it listens, and is closed when it has ended or could not begin.
func serveAdder(broker *plugin.GRPCBroker, id uint32, adder Adder) <-chan *grpc.Server {
	listening := make(chan *grpc.Server, 1)
	go func() {
		defer close(listening)
		broker.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(opts...)
			storepb.RegisterAdderServer(server, &adderGRPCServer{impl: adder})
			listening <- server
			return server
		})
	}()
	return listening
}

// adderGRPCServer serves an Adder on a brokered connection.
type adderGRPCServer struct {
	storepb.UnimplementedAdderServer

	impl Adder
}

func (s *adderGRPCServer) Add(_ context.Context, o *storepb.Operands) (*storepb.Sum, error) {
	sum, err := s.impl.Add(o.GetA(), o.GetB())
	return &storepb.Sum{Sum: sum.Sum, By: sum.By}, err
}

type grpcAdder struct {
	client storepb.AdderClient
}

func (a *grpcAdder) Add(x, y int64) (Sum, error) {
	sum, err := a.client.Add(context.Background(), &storepb.Operands{A: x, B: y})
	return Sum{Sum: sum.GetSum(), By: sum.GetBy()}, err
}
