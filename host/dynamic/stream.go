// SPDX-License-Identifier: MPL-2.0

package dynamic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// Stream calls a method of a plugin that takes or gives a stream of messages over gRPC, which
// server reflection tells of. kind is that of [Kind]. args are arguments as daemon.Call takes
// them, and so is each of more; each gets every answer. It returns when the plugin has ended
// its stream, at the error of a request or of each, or with ctx.
//
// A method that takes one request gets args, and nothing of more is asked for. Another one
// gets args first, unless they are nil, and then a goroutine goes through more. It ends when
// it next asks for one after Stream has returned.
//
// An error of a method that is no stream matches daemon.ErrNotCallable.
func Stream(ctx context.Context, d *daemon.Daemon, plugin, kind, method string, args json.RawMessage, more iter.Seq2[json.RawMessage, error], each func(json.RawMessage) error) error {
	v, err := daemon.Dispense[daemon.Invoker](ctx, d, plugin, kind)
	if _, failed := stub.Cause(err); failed || errors.Is(err, daemon.ErrUnknown) {
		return err
	}
	if err != nil { // a kind with an interface of Go, most likely
		return fmt.Errorf("%w: %w", daemon.ErrNotCallable, err)
	}
	if s, ok := v.(*switched); ok {
		v = s.pick()
	}
	g, ok := v.(*grpcInvoker)
	if !ok {
		return fmt.Errorf("%s.%s %w: streams can be called over gRPC alone", kind, method, daemon.ErrNotCallable)
	}
	found, err := g.services(ctx)
	if err != nil {
		return err
	}
	service, err := choose(found, kind, method)
	if err != nil {
		return err
	}
	m := service.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return fmt.Errorf("%w method %q: %s has %s", daemon.ErrUnknown, method, service.FullName(), strings.Join(methodNames(service), ", "))
	}
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		return fmt.Errorf("%s.%s %w: it is no stream", kind, method, daemon.ErrNotCallable)
	}
	if !m.IsStreamingClient() {
		more = nothing
	}
	if args != nil || !m.IsStreamingClient() {
		more = after(args, more)
	}
	return g.stream(ctx, m, more, each)
}

func nothing(func(json.RawMessage, error) bool) {}

// after gives first, and then more.
func after(first json.RawMessage, more iter.Seq2[json.RawMessage, error]) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		if yield(first, nil) {
			more(yield)
		}
	}
}

func (g *grpcInvoker) stream(ctx context.Context, d protoreflect.MethodDescriptor, requests iter.Seq2[json.RawMessage, error], each func(json.RawMessage) error) error {
	m := Method{Name: string(d.Name()), Service: string(d.Parent().FullName()), Request: d.Input(), Answer: d.Output()}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	desc := &grpc.StreamDesc{StreamName: m.Name, ServerStreams: d.IsStreamingServer(), ClientStreams: d.IsStreamingClient()}
	s, err := g.conn.NewStream(ctx, desc, "/"+m.Service+"/"+m.Name)
	if err != nil {
		return said(err)
	}
	if desc.ClientStreams {
		go func() {
			if err := m.send(ctx, s, requests); err != nil {
				cancel(err)
			}
		}()
	} else if err := m.send(ctx, s, requests); err != nil {
		return err
	}
	for {
		out := dynamicpb.NewMessage(m.Answer)
		switch err := s.RecvMsg(out); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Canceled):
			return context.Cause(ctx) // a request could not be sent, and the call was given up
		case err != nil:
			return said(err)
		}
		result, err := m.result(out)
		if err == nil {
			err = each(result)
		}
		if err != nil {
			return err
		}
		if !desc.ServerStreams {
			return nil
		}
	}
}

// send sends requests until there are no more.
func (m *Method) send(ctx context.Context, s grpc.ClientStream, requests iter.Seq2[json.RawMessage, error]) error {
	for raw, err := range requests {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		in, err := m.request(raw)
		if err != nil {
			return err
		}
		if err := s.SendMsg(in); err != nil {
			return nil // RecvMsg says why
		}
	}
	_ = s.CloseSend() // RecvMsg says what is wrong
	return nil
}
