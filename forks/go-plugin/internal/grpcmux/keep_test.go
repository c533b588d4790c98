// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// kept is a message whose bytes a codec keeps.
type kept struct{ data mem.BufferSlice }

// keeping is a codec that decodes nothing, and keeps what it is given until that is freed.
type keeping struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (c keeping) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*kept)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	data.Ref()
	to.data = data
	return nil
}

// What a codec keeps of an answer stays as it came, while other calls are made.
func TestCodecKeepsAnswers(t *testing.T) { bothWays(t, testCodecKeepsAnswers) }

func testCodecKeepsAnswers(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: echo})
	codec := keeping{encoding.GetCodecV2(proto.Name)}
	for _, n := range []int{10, 300, 4 << 10, 100 << 10, 1 << 20} {
		answers := make([]kept, 8)
		for i := range answers {
			sent := text(strings.Repeat(string('a'+rune(i)), n))
			if err := s.Invoke(t.Context(), unaryMethod, sent, &answers[i], grpc.ForceCodecV2(codec)); err != nil {
				t.Fatal(err)
			}
		}
		for i, answer := range answers {
			got := new(Text)
			err := codec.Unmarshal(answer.data, got)
			if letter := string('a' + rune(i)); err != nil || got.Value != strings.Repeat(letter, n) {
				t.Errorf("answer %s of %d bytes is another one by now, or %v", letter, n, err)
			}
			answer.data.Free()
		}
	}
}

// What a codec keeps of a request stays as it came, while other calls are made.
func TestCodecKeepsRequests(t *testing.T) {
	codec := keeping{encoding.GetCodecV2(proto.Name)}
	var requests []*kept
	s := newSession(t, direct, &service{unary: echo, codec: codec})
	other := description
	other.ServiceName = "other.Service"
	other.Methods = []grpc.MethodDesc{{MethodName: "Unary", Handler: _Keeping_Unary_Handler}}
	s.server.RegisterService(&other, func(in *kept) { requests = append(requests, in) })
	for _, n := range []int{10, 300, 100 << 10} {
		requests = nil
		for i := range 8 {
			sent := text(strings.Repeat(string('a'+rune(i)), n))
			if err := s.Invoke(t.Context(), "/other.Service/Unary", sent, new(Text)); err != nil {
				t.Fatal(err)
			}
		}
		for i, request := range requests {
			got := new(Text)
			err := codec.Unmarshal(request.data, got)
			if letter := string('a' + rune(i)); err != nil || got.Value != strings.Repeat(letter, n) {
				t.Errorf("request %s of %d bytes is another one by now, or %v", letter, n, err)
			}
			request.data.Free()
		}
	}
	if n := s.server.calls.Load(); n != 1 {
		t.Errorf("the grpc.Server has made %d calls, 1 is needed", n)
	}
}

// _Keeping_Unary_Handler is of a method whose request is kept.
func _Keeping_Unary_Handler(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
	in := new(kept)
	if err := dec(in); err != nil {
		return nil, err
	}
	run := func(_ context.Context, req any) (any, error) {
		srv.(func(*kept))(req.(*kept))
		return new(Text), nil
	}
	return chain(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/other.Service/Unary"}, run)
}
