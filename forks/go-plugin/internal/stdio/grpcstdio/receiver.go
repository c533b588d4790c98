// SPDX-License-Identifier: MPL-2.0

package grpcstdio

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/reopen"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// Receiver passes the plugin's output on to the host's writers. When the connection was
// replaced under it, it asks for the output again. All methods may be called from any
// goroutine.
type Receiver struct {
	client         pluginpb.GRPCStdioClient
	stdout, stderr *stdio.Sink
	logger         hclog.Logger

	pump   *stdio.Pump
	ctx    context.Context // of the streams
	end    context.CancelFunc
	retry  context.Context    // ends when there is no use in another stream
	final  context.CancelFunc // ends retry
	opened context.Context    // ends when the first stream was asked for
	asked  context.CancelFunc // ends opened
}

// Receive passes output on from now on, until Close. It waits for the connection by
// itself. A nil writer drops what it would get.
func Receive(conn grpc.ClientConnInterface, stdout, stderr io.Writer, logger hclog.Logger) *Receiver {
	logger = logger.Named("stdio")
	failed := func(err error) { logger.Error("the plugin's output cannot be written", "error", err) }
	r := &Receiver{
		client: pluginpb.NewGRPCStdioClient(conn),
		stdout: stdio.NewSink(stdout, failed),
		stderr: stdio.NewSink(stderr, failed),
		logger: logger,
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.retry, r.final = context.WithCancel(r.ctx)
	r.opened, r.asked = context.WithCancel(context.Background())
	r.pump = stdio.StartPump(r.run)
	return r
}

// Opened is closed when the plugin was asked for its output.
func (r *Receiver) Opened() <-chan struct{} { return r.opened.Done() }

// Finish waits until all that comes was passed on, or until ctx ends. The plugin is not
// asked again.
func (r *Receiver) Finish(ctx context.Context) {
	r.final()
	_ = r.pump.Wait(ctx)
}

// Close ends it at once. A writer that blocks is not waited for.
func (r *Receiver) Close() { r.end() }

// run passes output on until it ends.
func (r *Receiver) run() {
	defer r.final()
	err := reopen.Stream(r.retry, func() error {
		err := r.receive()
		r.asked()
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
func (r *Receiver) receive() error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	stop := context.AfterFunc(r.retry, cancel)
	stream, err := r.client.StreamStdio(ctx, &emptypb.Empty{}, grpc.WaitForReady(true))
	stop()
	if err != nil {
		return err
	}
	r.asked()
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
