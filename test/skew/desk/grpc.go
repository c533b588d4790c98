// SPDX-License-Identifier: MPL-2.0

package desk

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// GRPCPlugin carries a Desk over gRPC.
type GRPCPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	// Impl is what a plugin serves. A host leaves it nil.
	Impl Desk
}

// GRPCServer implements plugin.GRPCPlugin.
func (p *GRPCPlugin) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&service, &grpcServer{p.Impl, b})
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (p *GRPCPlugin) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &grpcClient{ctx, b, conn}, nil
}

type grpcClient struct {
	ctx    context.Context
	broker *plugin.GRPCBroker
	conn   grpc.ClientConnInterface
}

func (c *grpcClient) call(method, text string) (string, error) {
	answer := new(wrapperspb.StringValue)
	err := c.conn.Invoke(c.ctx, "/skew.Desk/"+method, wrapperspb.String(text), answer)
	return answer.GetValue(), err
}

func (c *grpcClient) Greet(text string) (string, error) { return c.call("Greet", text) }

func (c *grpcClient) Refuse(reason string) error {
	_, err := c.call("Refuse", reason)
	return err
}

func (c *grpcClient) Say(line string) error {
	_, err := c.call("Say", line)
	return err
}

func (c *grpcClient) Count(n int, each func(int)) error {
	stream, err := c.conn.NewStream(c.ctx, &service.Streams[0], "/skew.Desk/Count")
	if err != nil {
		return err
	}
	if err := stream.SendMsg(wrapperspb.Int64(int64(n))); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		number := new(wrapperspb.Int64Value)
		err := stream.RecvMsg(number)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		each(int(number.GetValue()))
	}
}

// Ask serves a Desk of its own for the time of the call, on which the plugin calls Greet.
func (c *grpcClient) Ask(about string, answer func(string) string) (string, error) {
	id := c.broker.NextId()
	serving := make(chan *grpc.Server, 1)
	go c.broker.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
		s := grpc.NewServer(opts...)
		s.RegisterService(&service, &grpcServer{answers{answer: answer}, nil})
		serving <- s
		return s
	})
	said := new(wrapperspb.StringValue)
	err := c.conn.Invoke(c.ctx, "/skew.Desk/Ask", wrapperspb.Bytes(append([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, about...)), said)
	select {
	case s := <-serving:
		s.Stop()
	default: // nobody asked
	}
	return said.GetValue(), err
}

// answers is a Desk that answers the plugin.
type answers struct {
	Desk
	answer func(string) string
}

func (a answers) Greet(about string) (string, error) { return a.answer(about), nil }

type grpcServer struct {
	impl   Desk
	broker *plugin.GRPCBroker
}

func (s *grpcServer) ask(ctx context.Context, in []byte) (string, error) {
	if len(in) < 4 {
		return "", errors.New("the id is missing")
	}
	conn, err := s.broker.Dial(uint32(in[0])<<24 | uint32(in[1])<<16 | uint32(in[2])<<8 | uint32(in[3]))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var lost error
	answer, err := s.impl.Ask(string(in[4:]), func(about string) string {
		said := new(wrapperspb.StringValue)
		lost = conn.Invoke(ctx, "/skew.Desk/Greet", wrapperspb.String(about), said)
		return said.GetValue()
	})
	return answer, errors.Join(err, lost)
}
