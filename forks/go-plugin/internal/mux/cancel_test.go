// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// waiter is a Handler whose calls end with their contexts, or with the gate.
type waiter struct {
	running chan context.Context
	gate    chan struct{}
}

func newWaiter() *waiter {
	return &waiter{running: make(chan context.Context, 1000), gate: make(chan struct{})}
}

func (w *waiter) ServeRequest(codec rpc.ServerCodec) error {
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	ctx, cancel := codec.(ContextCodec).CallContext()
	defer cancel()
	response := &rpc.Response{ServiceMethod: r.ServiceMethod, Seq: r.Seq}
	if err := codec.ReadRequestBody(new(string)); err != nil {
		response.Error = err.Error()
	} else {
		w.running <- ctx
		select {
		case <-ctx.Done():
		case <-w.gate:
		}
	}
	return codec.WriteResponse(response, "an answer")
}

// waiting serves a waiter on a channel.
func (p *pair) waiting() (*waiter, *Channel) {
	p.t.Helper()
	w := newWaiter()
	id, err := p.plugin.Register(w)
	if err != nil {
		p.t.Fatal(err)
	}
	return w, p.host.Channel(id)
}

// failures reads n answers, all of which have to be this failure, and gives their numbers.
func failures(t *testing.T, c *Channel, n int, want string) (numbers []uint64) {
	t.Helper()
	for range n {
		var r rpc.Response
		if err := c.ReadHeader(&r); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadReply(reflect.Value{}); err != nil && !HasNoReply(err) || r.Error != want {
			t.Errorf("call %d was answered with %q, %v", r.Seq, r.Error, err)
		}
		numbers = append(numbers, r.Seq)
	}
	return numbers
}

func mustSend(t *testing.T, c *Channel, r Request) (end uint64) {
	t.Helper()
	end, err := c.Send(r, "x")
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func nothingUnderWay(t *testing.T, p *Plugin) {
	t.Helper()
	testkit.Eventually(t, "the plugin remembers no call", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		n := 0
		for _, s := range p.services {
			n += len(s.running)
		}
		return n == 0
	})
}

// TestCancel has calls given up, in any order, while they run.
func TestCancel(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		var counted counter
		p := newPair(t, here, there, HostConfig{}, PluginConfig{Calls: &counted})
		w, c := p.waiting()
		const calls = 20
		for n := range uint64(calls) {
			mustSend(t, c, Request{Method: "Plugin.Wait", Number: n})
			<-w.running
		}
		for n := range uint64(calls) {
			n = (n*7 + 3) % calls
			if c.Cancel(n) {
				t.Errorf("call %d is said not to have been sent, but it runs", n)
			}
			if got := failures(t, c, 1, errCancelled.Error()); got[0] != n {
				t.Errorf("call %d was answered, want %d", got[0], n)
			}
		}
		c.Cancel(3) // It has been answered.
		c.Cancel(99)
		nothingUnderWay(t, p.plugin)
		testkit.Eventually(t, "all calls are counted, and their ends", func() bool {
			return counted.begun.Load() == calls && counted.ended.Load() == calls
		})
	})
}

// A method need not heed its context, or have one: its answer is a failure all the same.
func TestCancelOfOrdinaryMethod(t *testing.T) {
	here, there := net.Pipe()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	slow := newThing()
	c := p.serve(slow)
	if _, err := c.Send(Request{Method: "Plugin.Hold", Number: 5}, struct{}{}); err != nil {
		t.Fatal(err)
	}
	<-slow.held
	c.Cancel(5)
	// It is read before what follows.
	if _, err := c.Send(Request{Method: "Plugin.Open", Number: 6}, struct{}{}); err != nil {
		t.Fatal(err)
	}
	answers := make(map[uint64]string)
	for range 2 {
		var r rpc.Response
		if err := errors.Join(c.ReadHeader(&r), c.ReadReply(reflect.Value{})); err != nil {
			t.Fatal(err)
		}
		answers[r.Seq] = r.Error
	}
	if answers[5] != errCancelled.Error() || answers[6] != "" {
		t.Errorf("the answers are %v", answers)
	}
	nothingUnderWay(t, p.plugin)
}

// What ends a context without a message for its call.
func TestContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		timeout time.Duration
		end     func(*pair, *Channel)
		want    error
		cause   error
	}{
		"timeout":         {time.Millisecond, func(*pair, *Channel) {}, context.DeadlineExceeded, context.DeadlineExceeded},
		"channel is left": {0, func(_ *pair, c *Channel) { _ = c.Close() }, context.Canceled, context.Canceled},
		"host hangs up":   {0, func(p *pair, _ *Channel) { _ = p.host.Close() }, context.Canceled, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			p := newPair(t, here, there, HostConfig{}, PluginConfig{})
			w, c := p.waiting()
			mustSend(t, c, Request{Method: "Plugin.Wait", Number: 1, Timeout: test.timeout})
			ctx := <-w.running
			test.end(p, c)
			<-ctx.Done()
			if !errors.Is(ctx.Err(), test.want) {
				t.Errorf("the context's error is %v, want %v", ctx.Err(), test.want)
			}
			if cause := context.Cause(ctx); !errors.Is(cause, test.cause) && !errors.Is(cause, io.ErrUnexpectedEOF) {
				t.Errorf("its cause is %v, want %v", cause, test.cause)
			}
			nothingUnderWay(t, p.plugin)
		})
	}
}

// A context says what the request has said.
func TestContextCarries(t *testing.T) {
	here, there := net.Pipe()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	w, c := p.waiting()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "TraceParent", "00-1-2", "k", "a", "k", "b", "raw-bin", "\x00\xff", "empty", "")
	r := Request{Method: "Plugin.Wait", Number: 1}
	r.Carry(ctx)
	mustSend(t, c, r)
	got := <-w.running
	md, _ := metadata.FromIncomingContext(got)
	want := metadata.MD{"traceparent": {"00-1-2"}, "k": {"a", "b"}, "raw-bin": {"\x00\xff"}, "empty": {""}}
	if !reflect.DeepEqual(md, want) {
		t.Errorf("the metadata are %q, want %q", md, want)
	}
	if deadline, ok := got.Deadline(); !ok || time.Until(deadline) < 59*time.Minute || time.Until(deadline) > time.Hour {
		t.Errorf("the deadline is %v, %v", deadline, ok)
	}
	mustSend(t, c, Request{Method: "Plugin.Wait", Number: 2})
	got = <-w.running
	if md, ok := metadata.FromIncomingContext(got); ok {
		t.Errorf("a request without metadata has %v", md)
	}
	if _, ok := got.Deadline(); ok {
		t.Error("a request without a timeout has a deadline")
	}
	close(w.gate)
}

// What a request cannot say is an error before anything is sent.
func TestMetadataRefused(t *testing.T) {
	many := make([]string, maxPairs+1)
	for name, test := range map[string]struct {
		md   metadata.MD
		want string
	}{
		"upper case": {metadata.MD{"Trace": {"1"}}, `"Trace"`},
		"no key":     {metadata.MD{"": {"1"}}, `""`},
		"reserved":   {metadata.MD{":path": {"1"}}, `":path"`},
		"control":    {metadata.MD{"k": {"a\nb"}}, "the metadata's k"},
		"too many":   {metadata.MD{"k": many}, "65 pairs"},
		"too long":   {metadata.MD{"k": {strings.Repeat("x", maxMetadata)}}, "16384 are possible"},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			p := newPair(t, here, there, HostConfig{}, PluginConfig{})
			_, c := p.waiting()
			var unfit *EncodeError
			if _, err := c.Send(Request{Method: "Plugin.Wait", Metadata: test.md}, "x"); !errors.As(err, &unfit) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want an EncodeError with %s", err, test.want)
			}
			if sent := c.Taken(); sent != 0 {
				t.Errorf("%d bytes were sent", sent)
			}
		})
	}
}

// The most that fits passes.
func TestMetadataFits(t *testing.T) {
	here, there := net.Pipe()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	w, c := p.waiting()
	md := metadata.MD{}
	for i := range maxPairs {
		md[fmt.Sprintf("key-%02d", i)] = []string{strings.Repeat("x", maxMetadata/maxPairs-textSize("key-00")-2)}
	}
	mustSend(t, c, Request{Method: "Plugin.Wait", Metadata: md})
	if got, _ := metadata.FromIncomingContext(<-w.running); !reflect.DeepEqual(got, md) {
		t.Errorf("%d pairs came", len(got))
	}
	close(w.gate)
}

// A request that has not left is taken back: the plugin does not run it, but reads what
// its value describes, and answers.
func TestCancelBeforeSent(t *testing.T) {
	here, there := net.Pipe() // It takes nothing that is not read.
	h := NewHost(here, HostConfig{})
	defer h.Close()
	c := h.Channel(1)
	var ends [4]uint64
	for n := range ends {
		ends[n] = mustSend(t, c, Request{Method: "Plugin.Wait", Number: uint64(n)})
		if n == 0 { // the first is being written, and holds up the others
			testkit.Eventually(t, "the first request is given to the connection", func() bool { return c.Taken() == ends[0] })
		}
	}
	for n, want := range []bool{false, false, true, true} {
		if n == 1 {
			continue
		}
		if got := c.Cancel(uint64(n)); got != want {
			t.Errorf("Cancel of request %d says %v", n, got)
		}
	}
	w := newWaiter()
	close(w.gate)
	p := NewPlugin(there, PluginConfig{Control: rpc.NewServer()})
	p.services[1] = newService(p, 1, w)
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(p) }()
	answers := make(map[uint64]string)
	for range ends {
		var r rpc.Response
		if err := errors.Join(c.ReadHeader(&r), c.ReadReply(reflect.Value{})); err != nil && !HasNoReply(err) {
			t.Fatal(err)
		}
		answers[r.Seq] = r.Error
	}
	if answers[1] != "" || answers[2] != errCancelled.Error() || answers[3] != errCancelled.Error() {
		t.Errorf("the answers are %v", answers)
	}
	if n := len(w.running); n > 2 {
		t.Errorf("%d calls were run, want the first two at most", n)
	}
	_ = h.Close()
	<-served
}

// A call that is cancelled while its channel is being opened is not begun.
func TestCancelBeforeOpened(t *testing.T) {
	here, there := net.Pipe()
	asked, release := make(chan struct{}), make(chan struct{})
	w := newWaiter()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Open: func(string) (Handler, error) {
		close(asked)
		<-release
		return w, nil
	}})
	c, err := p.host.Open("slow")
	if err != nil {
		t.Fatal(err)
	}
	mustSend(t, c, Request{Method: "Plugin.Wait", Number: 0})
	mustSend(t, c, Request{Method: "Plugin.Wait", Number: 1})
	<-asked
	c.Cancel(0)
	// Once this is read, so is the message before it.
	mustUpper(t, p.client(newThing()))
	close(release)
	failures(t, c, 1, errCancelled.Error())
	<-w.running
	close(w.gate)
	failures(t, c, 1, "")
	if n := len(w.running); n != 0 {
		t.Errorf("%d more calls were run", n)
	}
	nothingUnderWay(t, p.plugin)
}

// A quick method has no other reader beside it, until the Watchdog sees to one.
func TestCancelOfMethodThatWasQuick(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	w, c := p.waiting()
	close(w.gate)
	for n := range uint64(300) {
		mustSend(t, c, Request{Method: "Plugin.Wait", Number: n})
		<-w.running
		failures(t, c, 1, "")
	}
	w.gate = make(chan struct{})
	mustSend(t, c, Request{Method: "Plugin.Wait", Number: 1000})
	ctx := <-w.running
	c.Cancel(1000)
	<-ctx.Done()
	failures(t, c, 1, errCancelled.Error())
	nothingUnderWay(t, p.plugin)
}

// What the plugin has refused is told from what it failed at.
func TestRefused(t *testing.T) {
	here, there := net.Pipe()
	h := NewHost(here, HostConfig{})
	defer h.Close()
	defer there.Close()
	c := h.Channel(1)
	go func() {
		plugin := newRawPeer(t, there)
		plugin.write(append(rawMessage(kindRefused, "too\nmany", 1, 7, refusedBusy), rawMessage(kindFailure, "no", 1, 8)...))
	}()
	var r rpc.Response
	if err := c.ReadHeader(&r); err != nil || r.Seq != 7 {
		t.Fatalf("got %+v, %v", r, err)
	}
	var refused *RefusedError
	if err := c.ReadReply(reflect.Value{}); !errors.As(err, &refused) || strings.Contains(refused.Reason, "\n") {
		t.Errorf("the error is %q", err)
	}
	failures(t, c, 1, "no")
}
