// SPDX-License-Identifier: MPL-2.0

// Package grpcstdio carries a plugin's output over gRPC, by the service GRPCStdio of
// the original library.
package grpcstdio

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// Sender sends the plugin's output to one host. It knows what has left only of the
// connections that [Sender.Listener], [Sender.Credentials] or [Sender.Conn] has seen;
// of others, what gRPC was given counts as sent. All methods may be called from any
// goroutine.
type Sender struct {
	// Barrier keeps the host's answers behind the output. It follows the latest stream,
	// and before the first what its maker lets it follow.
	stdio.Barrier
	subscribe func() stdio.Stream
	streams   calls.Gauge
	wire      wire
}

// NewSender returns a Sender of the output that subscribe gives, which is called for
// each stream.
func NewSender(subscribe func() stdio.Stream) *Sender { return &Sender{subscribe: subscribe} }

// Send is StreamStdio for the host. It returns when the host has hung up or there is no
// more output, and once ending has ended, when what was written before has been sent.
func (s *Sender) Send(stream pluginpb.GRPCStdio_StreamStdioServer, ending context.Context) error {
	s.streams.Begin()
	defer s.streams.End()
	ctx := stream.Context()
	output := s.subscribe()
	defer output.Close()
	sent := newCountedOutput()
	defer sent.End()
	s.Follow(output, sent)
	s.wire.begin(stream, sent)
	defer context.AfterFunc(ending, func() {
		ctx, cancel := context.WithTimeout(ctx, stdio.FlushTimeout)
		defer cancel()
		output.Finish(ctx)
	})()
	for {
		chunk, err := output.Next(ctx)
		if err != nil {
			return nil
		}
		msg := &pluginpb.StdioData{Channel: pluginpb.StdioData_Channel(chunk.Channel), Data: chunk.Data}
		sent.addMessage(proto.Size(msg))
		if err := stream.Send(msg); err != nil {
			return err
		}
	}
}

// AwaitSent waits until no stream is left, but no longer than stdio.FlushTimeout: a
// host that does not read is not waited for.
func (s *Sender) AwaitSent() {
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	_ = s.streams.WaitQuiet(ctx, 0)
}
