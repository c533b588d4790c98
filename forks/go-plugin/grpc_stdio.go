// SPDX-License-Identifier: MPL-2.0

package plugin

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
)

// stdioSource is the plugin's output, for any number of hosts.
type stdioSource interface {
	subscribe() stdioSubscription
}

// stdioSubscription is the output for one host. Its methods are called from
// one goroutine.
type stdioSubscription interface {
	// next returns what was written next. When ctx has ended it still returns
	// what is there already, and the cause of ctx only after that.
	next(ctx context.Context) (isStderr bool, data []byte, err error)
	close()
}

// stdioService streams the plugin's output to its host.
type stdioService struct {
	pluginpb.UnimplementedGRPCStdioServer
	source stdioSource
	ending context.Context
}

// StreamStdio streams until the host hangs up or there is no more output.
func (s *stdioService) StreamStdio(_ *emptypb.Empty, stream pluginpb.GRPCStdio_StreamStdioServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()

	output := s.source.subscribe()
	defer output.close()
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
		if err := stream.Send(msg); err != nil {
			return err
		}
	}
}

// receiveStdio copies the plugin's output to the writers until ctx or the
// session ends. A plugin without that service has nothing to copy.
func receiveStdio(ctx context.Context, conn grpc.ClientConnInterface, stdout, stderr io.Writer, logger hclog.Logger) {
	stream, err := pluginpb.NewGRPCStdioClient(conn).StreamStdio(ctx, &emptypb.Empty{}, grpc.WaitForReady(true))
	for err == nil {
		var msg *pluginpb.StdioData
		if msg, err = stream.Recv(); err != nil {
			break
		}
		switch msg.GetChannel() {
		case pluginpb.StdioData_STDOUT:
			stdout = writeOutput(stdout, msg.GetData(), logger)
		case pluginpb.StdioData_STDERR:
			stderr = writeOutput(stderr, msg.GetData(), logger)
		default:
			logger.Warn("output of an unknown channel is dropped", "channel", msg.GetChannel())
		}
	}
	switch {
	case errors.Is(err, io.EOF) || ctx.Err() != nil:
	case status.Code(err) == codes.Unimplemented:
		logger.Debug("the plugin does not send its output")
	case status.Code(err) == codes.Unavailable || status.Code(err) == codes.Canceled:
		logger.Debug("the plugin's output ended", "reason", err)
	default:
		logger.Error("the plugin's output failed", "error", err)
	}
}

// writeOutput returns the writer for what comes next: one that failed gets no
// more, and what comes is read all the same, so that the plugin does not block.
func writeOutput(w io.Writer, data []byte, logger hclog.Logger) io.Writer {
	if w == nil {
		return io.Discard
	}
	if _, err := w.Write(data); err != nil {
		logger.Error("the plugin's output cannot be written", "error", err)
		return io.Discard
	}
	return w
}
