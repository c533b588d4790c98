// SPDX-License-Identifier: MPL-2.0

package grpcstdio_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// script is the connection to a plugin that sends messages of its output.
type script struct {
	grpc.ClientConnInterface
	grpc.ClientStream
	messages [][]byte
}

func (s *script) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return s, nil
}

func (s *script) SendMsg(any) error { return nil }

func (s *script) CloseSend() error { return nil }

func (s *script) RecvMsg(m any) error {
	for len(s.messages) > 0 {
		err := proto.Unmarshal(s.messages[0], m.(proto.Message))
		if s.messages = s.messages[1:]; err == nil {
			return nil
		}
	}
	return io.EOF
}

// received runs the messages of a plugin into the writers of a host.
func received(t *testing.T, messages [][]byte, stdout, stderr io.Writer) {
	t.Helper()
	r := grpcstdio.Receive(&script{messages: messages}, stdout, stderr, hclog.NewNullLogger())
	defer r.Close()
	r.Finish(t.Context())
}

// cuts divides data into pieces of the lengths that at has.
func cuts(data, at []byte) [][]byte {
	var pieces [][]byte
	for _, n := range at {
		n := min(int(n), len(data))
		pieces, data = append(pieces, data[:n]), data[n:]
	}
	return append(pieces, data)
}

func seeds(f *testing.F) {
	for _, msg := range []*pluginpb.StdioData{{Channel: 1, Data: []byte("out")}, {Channel: 2, Data: []byte("err\x1b")}, {Channel: 3}, {Data: []byte("x")}, {Channel: -1}} {
		wire, err := proto.Marshal(msg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(slices.Concat(wire, wire), []byte{byte(len(wire))})
	}
}

// FuzzReceiver is a plugin's output as gRPC has it: what is of a stream arrives in
// order, and nothing else does.
func FuzzReceiver(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data, at []byte) {
		messages := cuts(data, at)
		var want [2]string
		for s := (&script{messages: messages}); ; {
			var msg pluginpb.StdioData
			if s.RecvMsg(&msg) != nil {
				break
			}
			if c := msg.GetChannel(); c == 1 || c == 2 {
				want[c-1] += string(msg.GetData())
			}
		}
		var stdout, stderr bytes.Buffer
		received(t, messages, &stdout, &stderr)
		if diff := cmp.Diff(want, [2]string{stdout.String(), stderr.String()}); diff != "" {
			t.Fatal(diff)
		}
	})
}

// brokenWriter takes some bytes and then fails.
type brokenWriter struct{ left, failed int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		w.failed++
		return 0, io.ErrShortWrite
	}
	w.left -= len(p)
	return len(p), nil
}

// FuzzReceiverWriters is the same for a host that cannot write it: it reads on, and
// does not ask a writer that has failed again.
func FuzzReceiverWriters(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data, at []byte) {
		broken := &brokenWriter{left: len(at)}
		received(t, cuts(data, at), broken, nil)
		if broken.failed > 1 {
			t.Fatalf("%d writes to a writer that has failed", broken.failed)
		}
	})
}
