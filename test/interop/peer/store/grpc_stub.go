// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/test/interop/peer/store/storepb"
)

// grpcStub is the host's side of the store over gRPC.
type grpcStub struct {
	ctx    context.Context
	client storepb.StoreClient
	broker *plugin.GRPCBroker
	settle bool
}

func (s *grpcStub) Context() context.Context { return s.ctx }

func (s *grpcStub) Put(key string, value []byte) error {
	_, err := s.client.Put(context.Background(), &storepb.Entry{Key: key, Value: value})
	return err
}

func (s *grpcStub) Get(key string) ([]byte, error) {
	e, err := s.client.Get(context.Background(), &storepb.Key{Key: key})
	for _, detail := range status.Convert(err).Details() {
		if k, ok := detail.(*storepb.Key); ok {
			return nil, fmt.Errorf("%w (detail: key %s)", err, k.GetKey())
		}
	}
	return e.GetValue(), err
}

func (s *grpcStub) Act(a Action) (Outcome, error) {
	out, err := s.client.Act(context.Background(), &storepb.Action{Do: a.Do, Text: a.Text, N: a.N})
	return Outcome{Text: out.GetText(), N: out.GetN()}, err
}

func (s *grpcStub) List(count int64) (int64, error) {
	stream, err := s.client.List(context.Background(), &storepb.ListRequest{Count: count})
	if err != nil {
		return 0, err
	}
	for n := int64(0); ; n++ {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if e.GetKey() != listEntry(n).Key {
			return n, fmt.Errorf("entry %d has key %q", n, e.GetKey())
		}
	}
}

// Echo exchanges the entries twice: once on a bidirectional stream and once on
// a client stream, whose count the plugin answers.
func (s *grpcStub) Echo(count int64) (int64, error) {
	if n, err := s.echo(count); err != nil {
		return n, err
	}
	stream, err := s.client.Collect(context.Background())
	if err != nil {
		return 0, err
	}
	for i := range count {
		if err := stream.Send(&storepb.Entry{Key: listEntry(i).Key}); err != nil {
			return i, err
		}
	}
	out, err := stream.CloseAndRecv()
	return out.GetN(), err
}

func (s *grpcStub) echo(count int64) (int64, error) {
	stream, err := s.client.Echo(context.Background())
	if err != nil {
		return 0, err
	}
	for n := range count {
		want := listEntry(n)
		if err := stream.Send(&storepb.Entry{Key: want.Key, Value: want.Value}); err != nil {
			return n, err
		}
		got, err := stream.Recv()
		if err != nil {
			return n, err
		}
		if got.GetKey() != want.Key || !bytes.Equal(got.GetValue(), want.Value) {
			return n, fmt.Errorf("entry %d came back as %q", n, got.GetKey())
		}
	}
	if err := stream.CloseSend(); err != nil {
		return count, err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return count, fmt.Errorf("the echo stream ended with %w", err)
	}
	return count, nil
}

func (s *grpcStub) UseCallback(adder Adder, count int64) (Outcome, error) {
	id := s.broker.NextId()
	listening := serveAdder(s.broker, id, adder)
	var server *grpc.Server
	if s.settle {
		server = <-listening
	}
	out, err := s.client.UseCallback(context.Background(), &storepb.CallbackRequest{BrokerId: id, Count: count})
	if server == nil {
		server = <-listening
	}
	if server != nil {
		server.Stop()
	}
	return Outcome{Text: out.GetText(), N: out.GetN()}, err
}

func (s *grpcStub) OpenCallback() (Adder, func() error, error) {
	r, err := s.client.OpenCallback(context.Background(), &storepb.Nothing{})
	if err != nil {
		return nil, nil, err
	}
	conn, err := s.broker.Dial(r.GetBrokerId())
	if err != nil {
		return nil, nil, err
	}
	return &grpcAdder{storepb.NewAdderClient(conn)}, conn.Close, nil
}
