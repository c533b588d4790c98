// SPDX-License-Identifier: MPL-2.0

package dynamic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/daemon/daemontest"
	"github.com/reattach/reattach/host/dynamic"
)

// streams serves streams of gRPC's own test service: it answers with the sizes that it got.
type streams struct {
	plugin.NetRPCUnsupportedPlugin
	grpc_testing.UnimplementedTestServiceServer
}

func (s streams) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	desc := grpc_testing.TestService_ServiceDesc
	desc.ServiceName = "acme.TestService"
	server.RegisterService(&desc, s)
	return nil
}

// describeStreams has server reflection tell of that service under a name that is not one of
// gRPC's own, which nobody calls.
var describeStreams = sync.OnceValue(func() error {
	file := protodesc.ToFileDescriptorProto(grpc_testing.File_grpc_testing_test_proto)
	file.Name, file.Package = proto.String("acme/test.proto"), proto.String("acme")
	made, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(made)
})

func (streams) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("not here")
}

func (streams) StreamingOutputCall(r *grpc_testing.StreamingOutputCallRequest, s grpc_testing.TestService_StreamingOutputCallServer) error {
	for _, p := range r.ResponseParameters {
		if p.Size < 0 {
			return status.Error(codes.InvalidArgument, "a size below zero")
		}
		if err := s.Send(&grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	return nil
}

func (streams) StreamingInputCall(s grpc_testing.TestService_StreamingInputCallServer) error {
	sum := 0
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(r.Payload.GetBody())
	}
}

func (streams) FullDuplexCall(s grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&grpc_testing.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

func serveStreams(t *testing.T) *daemontest.Plugin {
	t.Helper()
	if err := describeStreams(); err != nil {
		t.Fatal(err)
	}
	return daemontest.Serve(t, dynamic.Kind("TestService", nil, "StreamingOutputCall"), streams{})
}

// given are requests, which end with an error if that is not nil.
func given(end error, texts ...string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, text := range texts {
			if !yield(json.RawMessage(text), nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

func TestStream(t *testing.T) {
	p := serveStreams(t)
	stop := errors.New("stop")
	body := func(text string) string { return fmt.Sprintf(`{"payload":{"body":%q}}`, text) }
	never := func(func(json.RawMessage, error) bool) { t.Error("a method that takes one request asks for more") }
	for name, c := range map[string]struct {
		method  string
		args    string // none if empty
		in      iter.Seq2[json.RawMessage, error]
		each    error // what the receiver of an answer returns
		answers []string
		err     string
	}{
		"answers":         {method: "StreamingOutputCall", args: `{"responseParameters": [{"size": 1}, {"size": 2}]}`, in: never, answers: []string{"AA==", "AAA="}},
		"an error":        {method: "StreamingOutputCall", args: `{"responseParameters": [{"size": 1}, {"size": -1}]}`, in: never, answers: []string{"AA=="}, err: "a size below zero"},
		"of no request":   {method: "StreamingOutputCall", args: `{"size": 1}`, in: never, err: `there is no argument "size"`},
		"left early":      {method: "StreamingOutputCall", args: `{"responseParameters": [{"size": 1}, {"size": 2}]}`, in: never, each: stop, answers: []string{"AA=="}, err: "stop"},
		"no arguments":    {method: "StreamingOutputCall", in: never},
		"first and more":  {method: "StreamingInputCall", args: body("AAAA"), in: given(nil, body("AA==")), answers: []string{`"aggregatedPayloadSize":4`}},
		"none at all":     {method: "StreamingInputCall", in: given(nil), answers: []string{`"aggregatedPayloadSize":0`}},
		"requests":        {method: "StreamingInputCall", in: given(nil, body("AAAA"), body("AA==")), answers: []string{`"aggregatedPayloadSize":4`}},
		"requests end":    {method: "StreamingInputCall", in: given(stop, body("AAAA")), err: "stop"},
		"both":            {method: "FullDuplexCall", in: given(nil, body("AAAA"), body("AA==")), answers: []string{"AAAA", "AA=="}},
		"a bad one":       {method: "FullDuplexCall", in: given(nil, `[1, 2, 3, 4, 5, 6, 7, 8, 9]`), err: "arguments do not fit"},
		"no stream":       {method: "EmptyCall", in: given(nil), err: "cannot be called with JSON: it is no stream"},
		"no such method":  {method: "Dance", in: given(nil), err: `unknown method "Dance"`},
		"of the contract": {method: "StreamingOutputCall", args: `{}`, in: never},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var args json.RawMessage
			if c.args != "" {
				args = json.RawMessage(c.args)
			}
			err := dynamic.Stream(t.Context(), p.Daemon, daemontest.Name, "TestService", c.method, args, c.in, func(answer json.RawMessage) error {
				got = append(got, string(answer))
				return c.each
			})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("the error is %v, want %q", err, c.err)
			}
			if !slices.EqualFunc(got, c.answers, strings.Contains) {
				t.Errorf("the answers are %q, want %q", got, c.answers)
			}
		})
	}
	if _, err := p.Daemon.Call(t.Context(), daemontest.Name, "TestService", "StreamingOutputCall", nil); !errors.Is(err, daemon.ErrNotCallable) {
		t.Errorf("a call of a stream gives %v", err)
	}
}

func TestStreamEndsWithContext(t *testing.T) {
	p := serveStreams(t)
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan struct{})
	requests := func(yield func(json.RawMessage, error) bool) {
		if yield(json.RawMessage(`{}`), nil) {
			<-waits
			yield(json.RawMessage(`{}`), nil)
		}
	}
	err := dynamic.Stream(ctx, p.Daemon, daemontest.Name, "TestService", "FullDuplexCall", nil, requests, func(json.RawMessage) error {
		cancel()
		return nil
	})
	close(waits)
	if status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ends with %v", err)
	}
}
