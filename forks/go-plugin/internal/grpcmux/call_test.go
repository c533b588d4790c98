// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/wait"
)

func echo(_ context.Context, in *Text) (*Text, error) { return in, nil }

// Messages of every size arrive, from one caller and from many at once.
func TestUnary(t *testing.T) { bothWays(t, testUnary) }

func testUnary(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: echo})
	for _, n := range []int{0, 1, 100, 4 << 10, 5 << 10, 20 << 10, 1 << 20, 3 << 20} {
		sent := strings.Repeat("x", n)
		var callers wait.Group
		for range 8 {
			callers.Go(func() {
				for range 3 {
					out := new(Text)
					if err := s.Invoke(t.Context(), unaryMethod, text(sent), out); err != nil {
						t.Errorf("%d bytes: %v", n, err)
						return
					}
					if out.Value != sent {
						t.Errorf("%d bytes came of %d", len(out.Value), n)
					}
				}
			})
		}
		callers.Wait()
	}
	s.checkWay(t, w)
}

// What a method is told of its call, and the caller of the answer.
func TestMetadata(t *testing.T) { bothWays(t, testMetadata) }

func testMetadata(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: func(ctx context.Context, in *Text) (*Text, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if diff := cmp.Diff([]string{"one", "two"}, md["key"]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"\x00\xff"}, md["some-bin"]); diff != "" {
			t.Error(diff)
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		if p, ok := peer.FromContext(ctx); !ok || p.Addr.String() == "" {
			t.Error("no peer")
		}
		_ = grpc.SetHeader(ctx, metadata.Pairs("of-header", "h", "header-bin", "\x01"))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("of-trailer", "t", "trailer-bin", "\x02"))
		st, err := status.New(codes.FailedPrecondition, "no: 100% äh\n").WithDetails(text("detail"))
		if err != nil {
			t.Error(err)
		}
		return nil, st.Err()
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "key", "one", "key", "two", "some-bin", "\x00\xff")
	var header, trailer metadata.MD
	var who peer.Peer
	var finished []error
	err := s.Invoke(ctx, unaryMethod, text(""), new(Text), grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&who),
		grpc.OnFinish(func(err error) { finished = append(finished, err) }))
	st := status.Convert(err)
	if st.Code() != codes.FailedPrecondition || st.Message() != "no: 100% äh\n" || len(st.Details()) != 1 {
		t.Errorf("the status is %v with %v", st, st.Details())
	}
	if diff := cmp.Diff(metadata.MD{"of-header": {"h"}, "header-bin": {"\x01"}}, header); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(metadata.MD{"of-trailer": {"t"}, "trailer-bin": {"\x02"}}, trailer); diff != "" {
		t.Error(diff)
	}
	if who.Addr == nil {
		t.Error("the caller is not told the peer")
	}
	if len(finished) != 1 || finished[0] == nil {
		t.Errorf("OnFinish was told %v", finished)
	}
	if errors.Is(err, peererr.ErrConnectionLost) {
		t.Error("the plugin's error looks like a lost connection")
	}
	s.checkWay(t, w)
}

func TestCompression(t *testing.T) { bothWays(t, testCompression) }

func testCompression(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: echo})
	out := new(Text)
	sent := strings.Repeat("y", 1<<20)
	if err := s.Invoke(t.Context(), unaryMethod, text(sent), out, grpc.UseCompressor(gzip.Name)); err != nil || out.Value != sent {
		t.Errorf("%d bytes, %v", len(out.Value), err)
	}
}

func TestBounds(t *testing.T) { bothWays(t, testBounds) }

func testBounds(t *testing.T, w way) {
	s := newSession(t, w, &service{unary: echo, bound: 2000})
	long := text(strings.Repeat("z", 1000))
	for name, c := range map[string]struct {
		option grpc.CallOption
		send   *Text
		want   string
	}{
		"send":    {grpc.MaxCallSendMsgSize(10), long, "trying to send message larger than max (1003 vs. 10)"},
		"receive": {grpc.MaxCallRecvMsgSize(10), long, "grpc: received message larger than max (1003 vs. 10)"},
		"plugin":  {grpc.EmptyCallOption{}, text(strings.Repeat("z", 100_000)), "grpc: received message larger than max (100004 vs. 2000)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Invoke(t.Context(), unaryMethod, c.send, new(Text), c.option)
			if status.Code(err) != codes.ResourceExhausted || status.Convert(err).Message() != c.want {
				t.Errorf("error is %v, want %s", err, c.want)
			}
		})
	}
	s.checkWay(t, w)
}

// A caller that gives up ends the method's context.
func TestCancel(t *testing.T) { bothWays(t, testCancel) }

func testCancel(t *testing.T, w way) {
	running, ended := make(chan struct{}), make(chan error, 1)
	s := newSession(t, w, &service{unary: func(ctx context.Context, in *Text) (*Text, error) {
		running <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-running
		cancel()
	}()
	if err := s.Invoke(ctx, unaryMethod, text(""), new(Text)); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	go func() { <-running }()
	if err := s.Invoke(late, unaryMethod, text(""), new(Text)); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	<-ended
	s.checkWay(t, w)
}

// A call whose session is lost says so, and one after that was not sent.
func TestLost(t *testing.T) { bothWays(t, testLost) }

func testLost(t *testing.T, w way) {
	running := make(chan struct{})
	s := newSession(t, w, &service{unary: func(ctx context.Context, in *Text) (*Text, error) {
		close(running)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	go func() {
		<-running
		_ = s.plugin.Close()
	}()
	var sent peer.Peer
	if err := s.Invoke(t.Context(), unaryMethod, text(""), new(Text), grpc.Peer(&sent)); !errors.Is(err, peererr.ErrConnectionLost) || sent.Addr == nil {
		t.Errorf("%v, sent to %v", err, sent.Addr)
	}
	sent = peer.Peer{}
	if err := s.Invoke(t.Context(), unaryMethod, text(""), new(Text), grpc.Peer(&sent)); !errors.Is(err, peererr.ErrConnectionLost) || sent.Addr != nil {
		t.Errorf("%v, sent to %v", err, sent.Addr)
	}
}

var bidirectional = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// A message that cannot be sent does not take the header with it.
func TestHeaderOfMessageThatFails(t *testing.T) { bothWays(t, testHeaderOfMessageThatFails) }

func testHeaderOfMessageThatFails(t *testing.T, w way) {
	s := newSession(t, w, &service{stream: func(stream grpc.ServerStream) error {
		_ = stream.SetHeader(metadata.Pairs("key", "value"))
		if err := stream.SendMsg("not a message"); err == nil {
			t.Error("a string was sent")
		}
		return nil
	}})
	stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(Text)); err == nil { // A grpc.Server makes the failure the call's.
		t.Error("a message has come")
	}
	if header, err := stream.Header(); err != nil || len(header["key"]) != 1 {
		t.Errorf("header %v, %v", header, err)
	}
}

// A stream carries messages in both directions, in order and as long as it takes.
func TestStream(t *testing.T) { bothWays(t, testStream) }

func testStream(t *testing.T, w way) {
	s := newSession(t, w, &service{stream: func(stream grpc.ServerStream) error {
		_ = stream.SendHeader(metadata.Pairs("key", "value"))
		stream.SetTrailer(metadata.Pairs("end", "reached"))
		for {
			in := new(Text)
			if err := stream.RecvMsg(in); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		}
	}})
	stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	header, err := stream.Header()
	if err != nil || len(header["key"]) != 1 {
		t.Fatalf("header %v, %v", header, err)
	}
	const n = 2000
	var sender wait.Group
	sender.Go(func() {
		for i := range n {
			if err := stream.SendMsg(text(fmt.Sprint(i, strings.Repeat("x", i)))); err != nil {
				t.Error(err)
			}
		}
		_ = stream.CloseSend()
	})
	for i := range n {
		out := new(Text)
		if err := stream.RecvMsg(out); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(i, strings.Repeat("x", i)); out.Value != want {
			t.Fatalf("message %d has %d bytes", i, len(out.Value))
		}
	}
	sender.Wait()
	if err := stream.RecvMsg(new(Text)); err != io.EOF {
		t.Error(err)
	}
	if got := stream.Trailer()["end"]; len(got) != 1 {
		t.Errorf("trailer %v", stream.Trailer())
	}
	s.checkWay(t, w)
}

// A stream whose method returns early ends for its sender, too.
func TestStreamEndsEarly(t *testing.T) { bothWays(t, testStreamEndsEarly) }

func testStreamEndsEarly(t *testing.T, w way) {
	s := newSession(t, w, &service{stream: func(stream grpc.ServerStream) error {
		return status.Error(codes.Aborted, "enough")
	}})
	stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = stream.SendMsg(text(strings.Repeat("x", 1000)))
	}
	if err != io.EOF {
		t.Error(err)
	}
	if err := stream.RecvMsg(new(Text)); status.Code(err) != codes.Aborted {
		t.Error(err)
	}
	if err := s.Invoke(t.Context(), "/test.Service/None", text(""), new(Text)); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}

// The end of a long request is seen before its message counts as taken, as gRPC wants it of
// a unary call.
func TestEndOfLongRequest(t *testing.T) {
	s := newSession(t, byServer, &service{stream: func(stream grpc.ServerStream) error {
		raw := stream.(receiver).ServerStream
		if err := raw.RecvMsg(new(Text)); err != nil {
			return err
		}
		if err := raw.RecvMsg(new(Text)); err != io.EOF {
			return status.Errorf(codes.DataLoss, "after the message comes %v", err)
		}
		return raw.SendMsg(text("ok"))
	}})
	stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(text(strings.Repeat("x", 200<<10))); err != nil {
		t.Fatal(err)
	}
	_ = stream.CloseSend()
	out := new(Text)
	if err := stream.RecvMsg(out); err != nil || out.Value != "ok" {
		t.Errorf("%q, %v", out.Value, err)
	}
}
