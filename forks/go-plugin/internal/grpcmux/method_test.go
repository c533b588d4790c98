// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a handler is that gRPC gives to an interceptor is known of generated ones alone:
// others may belong to their call.
func TestHandlersOfOthers(t *testing.T) {
	s := newSession(t, direct, &service{unary: echo})
	other := description
	other.Methods = []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
		in := new(Text)
		if err := dec(in); err != nil {
			return nil, err
		}
		return chain(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/other.Service/Unary"}, func(context.Context, any) (any, error) {
			return text("mine: " + in.Value), nil // not what it is given
		})
	}}}
	other.ServiceName = "other.Service"
	s.server.RegisterService(&other, &service{})
	for _, want := range []string{"one", "two"} {
		out := new(Text)
		if err := s.Invoke(t.Context(), "/other.Service/Unary", text(want), out); err != nil || out.Value != "mine: "+want {
			t.Errorf("%q, %v", out.Value, err)
		}
	}
	if n := s.server.calls.Load(); n != 2 {
		t.Errorf("the grpc.Server has made %d calls of 2", n)
	}
}

// A call that is compressed is left to gRPC.
func TestCompressedCallOfKnownMethod(t *testing.T) {
	s := newSession(t, direct, &service{unary: echo})
	out := new(Text)
	if err := s.Invoke(t.Context(), unaryMethod, text(strings.Repeat("y", 1000)), out, grpc.UseCompressor(gzip.Name)); err != nil || len(out.Value) != 1000 {
		t.Errorf("%d bytes, %v", len(out.Value), err)
	}
	s.checkWay(t, byServer)
}

// A method is told what it is called with, and can send its header before all else.
func TestTransportStream(t *testing.T) { bothWays(t, testTransportStream) }

func testTransportStream(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: func(ctx context.Context, in *Text) (*Text, error) {
		if method, _ := grpc.Method(ctx); method != unaryMethod {
			t.Errorf("the method is %q", method)
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if md.Get(":authority")[0] != "plugin" || md.Get("content-type")[0] != "application/grpc" {
			t.Error(md)
		}
		if err := grpc.SendHeader(ctx, metadata.Pairs("a", "b")); err != nil {
			t.Error(err)
		}
		if err := grpc.SetHeader(ctx, metadata.Pairs("c", "d")); err == nil {
			t.Error("a header is set after it was sent")
		}
		_ = grpc.SetTrailer(ctx, metadata.Pairs("Upper", "x"))
		return in, nil
	}})
	var header, trailer metadata.MD
	if err := s.Invoke(t.Context(), unaryMethod, text(""), new(Text), grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	if header.Get("a") == nil || header.Get("c") != nil || trailer.Get("upper") == nil {
		t.Error(header, trailer)
	}
	s.checkWay(t, w)
}

// Errors of any kind become the status that gRPC makes of them.
func TestErrors(t *testing.T) { bothWays(t, testErrors) }

func testErrors(t *testing.T, w way) {
	var err error
	s := newSession(t, w, &service{
		unary:  func(context.Context, *Text) (*Text, error) { return nil, err },
		stream: func(grpc.ServerStream) error { return err },
	})
	for _, c := range []struct {
		err  error
		want codes.Code
	}{
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
		{status.Error(codes.NotFound, "none"), codes.NotFound},
		{errors.New("x"), codes.Unknown},
	} {
		err = c.err
		if got := s.Invoke(t.Context(), unaryMethod, text(""), new(Text)); status.Code(got) != c.want {
			t.Errorf("%v became %v", c.err, got)
		}
		stream, failed := s.NewStream(t.Context(), bidirectional, streamMethod)
		if failed != nil {
			t.Fatal(failed)
		}
		if got := stream.RecvMsg(new(Text)); status.Code(got) != c.want {
			t.Errorf("%v became %v of a stream", c.err, got)
		}
	}
	s.checkWay(t, w)
}

// A bound holds for requests that are shorter than what is read at once, too.
func TestLowBound(t *testing.T) { bothWays(t, testLowBound) }

func testLowBound(t *testing.T, w way) {
	s := newSession(t, w, &service{bound: 100, unary: func(context.Context, *Text) (*Text, error) { return new(Text), nil }})
	for n, want := range map[int]codes.Code{10: codes.OK, 98: codes.OK, 99: codes.ResourceExhausted, 1000: codes.ResourceExhausted} {
		if err := s.Invoke(t.Context(), unaryMethod, text(strings.Repeat("x", n)), new(Text)); status.Code(err) != want {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
	}
	s.checkWay(t, w)
}

// The context of a call ends with its deadline and after its answer, whether or not it was
// asked about its end before.
func TestContextEnds(t *testing.T) { bothWays(t, testContextEnds) }

func testContextEnds(t *testing.T, w way) {
	var seen []context.Context
	s := newSession(t, w, &service{unary: func(ctx context.Context, in *Text) (*Text, error) {
		seen = append(seen, ctx)
		if in.Value == "child" {
			child, cancel := context.WithCancel(ctx)
			t.Cleanup(cancel)
			seen = append(seen, child)
		}
		return in, nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, value := range []string{"", "child"} {
		if err := s.Invoke(ctx, unaryMethod, text(value), new(Text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ctx := range seen {
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Error("a context outlives its call")
		}
	}
	s.checkWay(t, w)
}
