// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/reopen"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// stdioReceiver passes the plugin's output on to the host's writers. When the
// connection was replaced under it, it asks for the output again.
type stdioReceiver struct {
	client         pluginpb.GRPCStdioClient
	stdout, stderr *stdio.Sink
	logger         hclog.Logger

	output *stdio.Pump
	ctx    context.Context // of the streams
	end    context.CancelFunc
	retry  context.Context    // ends when there is no use in another stream
	final  context.CancelFunc // ends retry
	opened chan struct{}      // closed when the first stream was asked for
	asked  sync.Once
}

func newStdioReceiver(cfg *grpcClientConfig, conn grpc.ClientConnInterface) *stdioReceiver {
	logger := cfg.logger.Named("stdio")
	failed := func(err error) { logger.Error("the plugin's output cannot be written", "error", err) }
	r := &stdioReceiver{
		client: pluginpb.NewGRPCStdioClient(conn),
		stdout: stdio.NewSink(cfg.stdout, failed),
		stderr: stdio.NewSink(cfg.stderr, failed),
		logger: logger,
		opened: make(chan struct{}),
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.retry, r.final = context.WithCancel(r.ctx)
	r.output = stdio.StartPump(r.run)
	return r
}

// Opened implements grpcconn.Output.
func (r *stdioReceiver) Opened() <-chan struct{} { return r.opened }

// Finish implements grpcconn.Output.
func (r *stdioReceiver) Finish(ctx context.Context) {
	r.final()
	_ = r.output.Wait(ctx)
}

// Close implements grpcconn.Output.
func (r *stdioReceiver) Close() { r.end() }

// run passes output on until it ends.
func (r *stdioReceiver) run() {
	defer r.final()
	err := reopen.Stream(r.retry, func() error {
		err := r.receive()
		r.asked.Do(func() { close(r.opened) })
		if reopen.Replaced(err) {
			r.logger.Debug("the connection of the plugin's output was lost, asking for it on the next one", "reason", err)
		}
		return err
	})
	switch {
	case errors.Is(err, io.EOF) || r.retry.Err() != nil:
	case status.Code(err) == codes.Unimplemented:
		r.logger.Debug("the plugin does not send its output")
	case status.Code(err) == codes.Canceled:
		r.logger.Debug("the plugin's output ended", "reason", err)
	default:
		r.logger.Error("the plugin's output failed", "error", err)
	}
}

// receive passes on what comes on one stream, and returns why it ended. It waits
// for a connection until final is called.
func (r *stdioReceiver) receive() error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	stop := context.AfterFunc(r.retry, cancel)
	stream, err := r.client.StreamStdio(ctx, &emptypb.Empty{}, grpc.WaitForReady(true))
	stop()
	if err != nil {
		return err
	}
	r.asked.Do(func() { close(r.opened) })
	for {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		switch msg.GetChannel() {
		case pluginpb.StdioData_STDOUT:
			_, _ = r.stdout.Write(msg.GetData())
		case pluginpb.StdioData_STDERR:
			_, _ = r.stderr.Write(msg.GetData())
		default:
			r.logger.Warn("output of an unknown channel is dropped", "channel", msg.GetChannel())
		}
	}
}
