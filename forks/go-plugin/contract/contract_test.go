// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errKnown = errors.New("known")

// numbered is an error type.
type numbered struct{ n int64 }

func (e *numbered) Error() string { return fmt.Sprintf("number %d", e.n) }

func knownErrors() *Errors {
	return NewErrors("test.v1", Sentinel("errKnown", errKnown), ErrorType(
		func(_ *Conv, e *numbered) *wrapperspb.Int64Value { return wrapperspb.Int64(e.n) },
		func(_ *Conv, m *wrapperspb.Int64Value) *numbered { return &numbered{m.GetValue()} }))
}

// ways carry an encoded error to the other side: net/rpc by its text, gRPC by its status.
var ways = map[string]func(error) error{
	"net/rpc": func(err error) error { return rpc.ServerError(err.Error()) },
	"gRPC":    func(err error) error { return status.Convert(err).Err() },
}

func TestErrors(t *testing.T) {
	e := knownErrors()
	mark := e.Encode(errKnown).Error()
	for name, c := range map[string]struct {
		err    error
		known  bool
		number int64
		text   string
	}{
		"a sentinel":                    {err: errKnown, known: true},
		"wrapped":                       {err: fmt.Errorf("get: %w", errKnown), known: true},
		"an error type":                 {err: &numbered{13}, number: 13},
		"both":                          {err: errors.Join(errKnown, &numbered{7}), known: true, number: 7},
		"another error":                 {err: errors.New("boom")},
		"an error of gRPC":              {err: status.Error(codes.Unavailable, "backend")},
		"a text that looks like known":  {err: errors.New(mark)},
		"a text that ends like a mark":  {err: errors.New("x" + trailer + "AAAA}")},
		"no text":                       {err: errors.New("")},
		"a text that is not UTF-8":      {err: errors.New("\xff"), text: "\uFFFD"},
		"a text that no line of a mark": {err: errors.New(trailer)},
	} {
		for way, carry := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				got := e.Decode(carry(e.Encode(c.err)))
				want := c.err.Error()
				if c.text != "" {
					want = c.text
				}
				if got.Error() != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if errors.Is(got, errKnown) != c.known {
					t.Errorf("errors.Is finds the sentinel: %t", !c.known)
				}
				var typed *numbered
				if errors.As(got, &typed) != (c.number != 0) || typed != nil && typed.n != c.number {
					t.Errorf("errors.As finds %v, want %d", typed, c.number)
				}
				if c.err == errKnown && got != errKnown {
					t.Error("a sentinel by itself is not the sentinel")
				}
			})
		}
	}
}

// TestErrorsOfTheCall holds that nothing but an answer of the implementation is decoded.
func TestErrorsOfTheCall(t *testing.T) {
	e := knownErrors()
	for _, err := range []error{
		nil, io.ErrUnexpectedEOF, context.Canceled, status.Error(codes.Unavailable, e.Encode(errKnown).Error()), rpc.ErrShutdown,
		fmt.Errorf("wrapped: %w", rpc.ServerError(e.Encode(errKnown).Error())),
	} {
		if got := e.Decode(err); got != err {
			t.Errorf("%v has become %v", err, got)
		}
	}
	if e.Encode(nil) != nil {
		t.Error("no error has become one")
	}
}

// TestErrorOfAnotherContract holds that a sentinel of the same name is not that of another
// contract.
func TestErrorOfAnotherContract(t *testing.T) {
	other := NewErrors("other.v1", Sentinel("errKnown", errKnown))
	for way, carry := range ways {
		if got := knownErrors().Decode(carry(other.Encode(errKnown))); errors.Is(got, errKnown) || got.Error() != "known" {
			t.Errorf("%s: got %v", way, got)
		}
	}
}

// TestLargeError holds that an error of more than its bound arrives as its text.
func TestLargeError(t *testing.T) {
	e := NewErrors("test.v1", ErrorType(
		func(_ *Conv, e *numbered) *wrapperspb.StringValue {
			return wrapperspb.String(strings.Repeat("x", int(e.n)))
		},
		func(_ *Conv, m *wrapperspb.StringValue) *numbered { return &numbered{int64(len(m.GetValue()))} }))
	for _, n := range []int64{maxErrorDetails - 10, maxErrorDetails} {
		var typed *numbered
		got := e.Decode(rpc.ServerError(e.Encode(&numbered{n}).Error()))
		if found := errors.As(got, &typed); found != (n < maxErrorDetails) || got.Error() != (&numbered{n}).Error() {
			t.Errorf("%d bytes: found %t, %v", n, found, got)
		}
	}
}

// FuzzErrors holds that no text makes trouble, and that each arrives as it is.
func FuzzErrors(f *testing.F) {
	e := knownErrors()
	f.Add("boom")
	f.Add(e.Encode(errKnown).Error())
	f.Fuzz(func(t *testing.T, text string) {
		_ = e.Decode(rpc.ServerError(text)) // of a peer that says anything
		want := strings.ToValidUTF8(text, "\uFFFD")
		if got := e.Decode(rpc.ServerError(e.Encode(errors.New(text)).Error())); got.Error() != want || errors.Is(got, errKnown) {
			t.Errorf("%q has become %q", text, got)
		}
	})
}

// streams gives both sides of a stream over net/rpc.
func streams(t *testing.T, ctx context.Context) (caller, server *rpcStream) {
	t.Helper()
	near, far := net.Pipe()
	caller, server = newRPCStream(ctx, "Watch", near), newRPCStream(context.Background(), "Watch", far)
	t.Cleanup(func() {
		caller.Close()
		server.Close()
	})
	return caller, server
}

func TestStreamEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(server *rpcStream, cancel context.CancelFunc)
		want error
	}{
		"well":             {func(s *rpcStream, _ context.CancelFunc) { s.finish(nil) }, io.EOF},
		"with an error":    {func(s *rpcStream, _ context.CancelFunc) { s.finish(knownErrors().Encode(errKnown)) }, errKnown},
		"by its context":   {func(_ *rpcStream, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"by the other one": {func(s *rpcStream, _ context.CancelFunc) { s.Close() }, plugin.ErrConnectionLost},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			caller, server := streams(t, ctx)
			go func() {
				_ = server.Open()
				_ = server.Send(wrapperspb.String("one"))
				c.end(server, cancel)
			}()
			if err := caller.Await(); err != nil {
				t.Fatal(err)
			}
			got := new(wrapperspb.StringValue)
			err := caller.Recv(got)
			if err == nil && got.GetValue() != "one" {
				t.Errorf("got %v", got)
			}
			for err == nil {
				err = knownErrors().Decode(caller.Recv(got))
			}
			if !errors.Is(err, c.want) {
				t.Errorf("it ended with %v, want %v", err, c.want)
			}
			if again := caller.Recv(got); again == nil {
				t.Error("it goes on after its end")
			}
		})
	}
}

// TestStreamLeft holds that the side that serves is told when its caller has left.
func TestStreamLeft(t *testing.T) {
	caller, server := streams(t, t.Context())
	caller.Close()
	select {
	case <-server.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told the method")
	}
	if err := server.Send(wrapperspb.String("x")); err == nil {
		t.Error("what nobody takes was sent")
	}
}

// TestFailureOfACaller holds that a method whose caller sends what only a method sends, and
// leaves, is told so.
func TestFailureOfACaller(t *testing.T) {
	caller, server := streams(t, t.Context())
	go func() {
		_ = caller.send(frameFailure, status.New(codes.Aborted, "enough").Proto())
		caller.Close()
	}()
	if err := server.Recv(new(wrapperspb.StringValue)); status.Code(err) != codes.Aborted {
		t.Errorf("got %v", err)
	}
	select {
	case <-server.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told the method")
	}
}

// TestPanicOfAStream holds that a panic ends the stream, and nothing else.
func TestPanicOfAStream(t *testing.T) {
	caller, server := streams(t, t.Context())
	go server.finish(run("Watch", server, func(context.Context, Stream) error { panic("ouch") }))
	if err := caller.Await(); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "Watch panicked: ouch") {
		t.Errorf("got %v", err)
	}
}

// FuzzFrames reads any bytes as the frames of a stream, which must end, and may not cost more
// than came.
func FuzzFrames(f *testing.F) {
	frame := func(kind byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body))), body...)
	}
	f.Add(append(frame(frameOpen, nil), frame(frameMessage, []byte("x"))...))
	f.Add([]byte{frameMessage, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		for from := bufio.NewReader(bytes.NewReader(raw)); ; {
			got, err := readFrame(from)
			if err != nil {
				return
			}
			if len(got.body) > len(raw) {
				t.Fatalf("%d bytes of %d", len(got.body), len(raw))
			}
			if got.kind == frameFailure && failure(got.body) == nil {
				t.Error("a failure is no error")
			}
		}
	})
}

// TestConv holds what does not fit.
func TestConv(t *testing.T) {
	type node struct{ next *node }
	circle := &node{}
	circle.next = circle
	var walk func(c *Conv, n *node) *wrapperspb.BoolValue
	walk = func(c *Conv, n *node) *wrapperspb.BoolValue {
		if !c.Enter() {
			return nil
		}
		defer c.Leave()
		return walk(c, n.next)
	}
	for name, convert := range map[string]func(*Conv){
		"int8":               func(c *Conv) { Integer[int8](c, int32(200)) },
		"a sign":             func(c *Conv) { Integer[uint64](c, int64(-1)) },
		"a large number":     func(c *Conv) { Integer[int64](c, uint64(1<<63)) },
		"an array":           func(c *Conv) { Fill(c, make([]byte, 3), []byte{1}, Same[byte]) },
		"nil in a list":      func(c *Conv) { List(c, []*int64{nil}, Elem(func(*Conv, int64) *wrapperspb.Int64Value { return nil })) },
		"the year 10000":     func(c *Conv) { FromTime(c, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) },
		"what holds itself":  func(c *Conv) { walk(c, circle) },
		"a text of an IP":    func(c *Conv) { ToText[net.IP](c, "no") },
		"a value of nothing": func(c *Conv) { c.Fail("%w", errKnown) },
	} {
		c := new(Conv)
		if convert(c); c.Err() == nil {
			t.Errorf("%s fits", name)
		}
		if err := Refuse("Do", c); err == nil || status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestOpening holds that a request without a place for its stream has one beside it.
func TestOpening(t *testing.T) {
	o, err := openingOf(wrapperspb.String("x"), 7)
	if err != nil {
		t.Fatal(err)
	}
	got := new(wrapperspb.StringValue)
	if err := o.(*Opening).Read(got); err != nil || !proto.Equal(got, wrapperspb.String("x")) || o.(*Opening).Stream != 7 {
		t.Errorf("got %v of %v, %v", got, o, err)
	}
}
