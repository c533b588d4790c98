// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// A child that takes long to answer Quit, and whose last output comes with the answer:
// the wait for it begins then. In real time: yamux pools its timers, and one of a
// synctest bubble would end a later test outside.
func TestOutputAfterLateQuit(t *testing.T) {
	t.Parallel()
	host := hostOfChild(t, func(_ *yamux.Session, streams [3]net.Conn) {
		var request rpc.Request
		if err := gob.NewDecoder(streams[0]).Decode(&request); err != nil {
			t.Error(err)
		}
		<-time.After(stdio.FlushTimeout + time.Second)
		enc := gob.NewEncoder(streams[0])
		_ = enc.Encode(rpc.Response{ServiceMethod: request.ServiceMethod, Seq: request.Seq})
		_ = enc.Encode(struct{}{})
		<-time.After(stdio.FlushTimeout / 2)
		_, _ = io.WriteString(streams[1], "the last words")
		_, _ = streams[1].Close(), streams[2].Close()
	})
	var stdout bytes.Buffer // Close waits for its writer.
	host.ReceiveOutput(&stdout, io.Discard)
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if got := stdout.String(); got != "the last words" {
		t.Errorf("the output is %q", got)
	}
}

// Quitter is an argument that ends the goroutine which decodes it.
type Quitter struct{}

func (*Quitter) GobEncode() ([]byte, error) { return []byte("quit"), nil }
func (*Quitter) GobDecode([]byte) error     { runtime.Goexit(); return nil }

type quitterService struct{}

func (quitterService) Take(*Quitter, *struct{}) error { return nil }

// Such a call is over: a plugin that drains does not wait for it.
func TestDecoderEndsItsCall(t *testing.T) {
	here, there := net.Pipe()
	var inFlight calls.Gauge
	served := make(chan struct{})
	go func() {
		defer close(served)
		Serving{calls: &inFlight, Panicked: func(string, any) string { return "" }}.serve(there, quitterService{})
	}()
	client := rpc.NewClient(here)
	defer client.Close()
	if err := client.Call("Plugin.Take", &Quitter{}, &struct{}{}); err == nil {
		t.Error("the call was answered")
	}
	<-served
	if n := inFlight.Count(); n != 0 {
		t.Errorf("%d calls in flight, want none", n)
	}
}

// hostOfChild is the host's end of a child over a pipe; serve gets the streams that the
// host opens first.
func hostOfChild(t *testing.T, serve func(child *yamux.Session, streams [3]net.Conn)) *Host {
	t.Helper()
	here, there := net.Pipe()
	child, err := yamux.Server(there, YamuxConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Close() })
	go func() {
		var streams [3]net.Conn
		for i := range streams {
			stream, err := child.Accept()
			if err != nil {
				return
			}
			streams[i] = stream
		}
		serve(child, streams)
	}()
	host, err := NewYamuxHost(here, HostConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// A child that hangs must not hold up the Kill that it needs.
func TestQuitOfHungChildIsBounded(t *testing.T) {
	t.Parallel() // It takes stdio.ShutdownTimeout.
	host := hostOfChild(t, func(*yamux.Session, [3]net.Conn) {})
	if err := host.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v, want to be told that no answer came in time", err)
	}
}

// A child that ends may be gone before its answer is.
func TestQuitWithoutAnswerIsNoError(t *testing.T) {
	host := hostOfChild(t, func(child *yamux.Session, streams [3]net.Conn) {
		if err := gob.NewDecoder(boundGob(streams[0], 0)).Decode(&rpc.Request{}); err != nil {
			t.Error(err)
		}
		_ = child.Close()
	})
	if err := host.Close(); err != nil {
		t.Errorf("Close = %v: the child would be killed while it ends", err)
	}
}

// Quit is answered before the connection is closed.
func TestMuxQuitIsAnswered(t *testing.T) {
	for range 100 {
		here, there := net.Pipe()
		plugin := NewMuxPlugin(there, &PluginConfig{
			Kinds: func(*Broker) func(string) (any, error) { return nil },
			Quit:  func() { _ = there.Close() },
		})
		served := make(chan struct{})
		go plugin.Serve(func(error) { close(served) })
		host := NewMuxHost(here, HostConfig{}, nil, nil, func(error) {})
		if err := host.call(t.Context(), methodQuit); err != nil {
			t.Fatal(err)
		}
		<-host.Done()
		<-served
	}
}
