// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// stdioSource is the plugin's output, for any number of hosts.
type stdioSource interface {
	stdio.Syncer
	subscribe() stdioSubscription
}

// stdioSubscription is the output for one host. Its methods are called from
// one goroutine, but for finish.
type stdioSubscription interface {
	// next returns what was written next, or the cause of ctx when that ends.
	next(ctx context.Context) (isStderr bool, data []byte, err error)
	// unsent takes back what next has returned last, and the host did not get.
	unsent(isStderr bool, data []byte)
	// finish makes next return io.EOF after what was written by now. It waits for
	// that to come, but no longer than ctx.
	finish(ctx context.Context)
	close()
}

// sendOutput serves one stream of the output.
func (g *grpcSession) sendOutput(stream pluginpb.GRPCStdio_StreamStdioServer) error {
	g.output.Begin()
	defer g.output.End()
	ctx := stream.Context()
	output := g.stdio.subscribe()
	defer output.close()
	sent := g.countOutput(stream)
	defer sent.End()
	defer context.AfterFunc(g.ending, func() {
		ctx, cancel := context.WithTimeout(ctx, stdio.FlushTimeout)
		defer cancel()
		output.finish(ctx)
	})()
	for {
		isStderr, data, err := output.next(ctx)
		if err != nil {
			return nil
		}
		if len(data) == 0 {
			continue
		}
		msg := &pluginpb.StdioData{Channel: pluginpb.StdioData_STDOUT, Data: data}
		if isStderr {
			msg.Channel = pluginpb.StdioData_STDERR
		}
		sent.addMessage(proto.Size(msg))
		if err := stream.Send(msg); err != nil {
			output.unsent(isStderr, data)
			return err
		}
	}
}

// countOutput counts what of a stream was given to its connection. Without that, what
// gRPC was given counts as sent.
func (g *grpcSession) countOutput(stream grpc.ServerStream) *countedOutput {
	sent := g.wire.begin(stream)
	if sent == nil {
		sent = new(countedOutput)
		sent.End()
		return sent
	}
	g.before.Follow(g.stdio, sent)
	return sent
}
