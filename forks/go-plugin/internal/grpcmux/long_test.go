// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// lengths are those of messages around what is long somewhere.
var lengths = []int{0, 1000, 4 << 10, 32<<10 - 10, 32 << 10, 64 << 10, 64<<10 + 1, 1<<20 + 7}

// Long messages arrive as they were sent.
func TestLongMessages(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		s := newSession(t, w, &service{unary: func(_ context.Context, in *Text) (*Text, error) { return in, nil }})
		for _, n := range lengths {
			sent, got := strings.Repeat("é", n/2)+"x"[:n%2], new(Text)
			if err := s.Invoke(t.Context(), unaryMethod, text(sent), got); err != nil || got.Value != sent {
				t.Errorf("%d bytes have come back as %d, %v", n, len(got.Value), err)
			}
		}
		s.checkWay(t, w)
	})
}

// Whoever sends a message of a stream may use its bytes again afterwards.
func TestBytesAreFreeAfterSend(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		s := newSession(t, w, &service{stream: sendBack})
		for _, n := range lengths {
			stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, n)
			for letter := byte('a'); letter < 'e'; letter++ {
				fill(data, letter)
				if err := stream.SendMsg(wrapperspb.Bytes(data)); err != nil {
					t.Fatal(err)
				}
				fill(data, 0)
			}
			if err := stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			for letter := byte('a'); letter < 'e'; letter++ {
				got := new(wrapperspb.BytesValue)
				if err := stream.RecvMsg(got); err != nil || len(got.Value) != n || bytes.Count(got.Value, []byte{letter}) != n {
					t.Fatalf("of %d bytes %d have come back, %v", n, len(got.Value), err)
				}
			}
			if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err != io.EOF {
				t.Error(err)
			}
		}
	})
}

func fill(data []byte, with byte) {
	for i := range data {
		data[i] = with
	}
}

// sendBack takes all messages of a stream, and sends them back from one buffer.
func sendBack(stream grpc.ServerStream) error {
	var all [][]byte
	for {
		m := new(wrapperspb.BytesValue)
		err := stream.RecvMsg(m)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, m.Value)
	}
	var buffer []byte
	for _, data := range all {
		buffer = append(buffer[:0], data...)
		if err := stream.SendMsg(wrapperspb.Bytes(buffer)); err != nil {
			return err
		}
		fill(buffer, 0)
	}
	return nil
}
