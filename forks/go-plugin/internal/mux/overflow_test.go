// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"context"
	"errors"
	"net/rpc"
	"reflect"
	"testing"
	"time"
)

// A plugin that reads nothing does not hold up the sender, and gets all of it
// once it reads, over TLS as over TCP.
func TestSendDoesNotWait(t *testing.T) {
	for name, connect := range connections() {
		if name == "pipe" {
			continue // It has no buffer to fill.
		}
		t.Run(name, func(t *testing.T) {
			here, there := connect(t)
			host := NewHost(here, HostConfig{})
			defer host.Close()
			channel := host.Channel(1)

			var sent uint64
			for {
				_, err := channel.Send(Request{Method: "Plugin.Echo", Number: sent}, bytes.Repeat([]byte{byte(sent)}, 3000))
				if errors.Is(err, ErrFull) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				sent++
			}
			server := rpc.NewServer()
			if err := server.RegisterName("Plugin", newThing()); err != nil {
				t.Fatal(err)
			}
			plugin := NewPlugin(there, PluginConfig{Control: rpc.NewServer()})
			if _, err := plugin.Register(server); err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = serve(plugin)
			}()
			defer func() { _ = host.Close(); <-served }()
			for range sent {
				var head rpc.Response
				var reply []byte
				if err := errors.Join(channel.ReadHeader(&head), channel.ReadReply(reflect.ValueOf(&reply))); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(reply, bytes.Repeat([]byte{byte(head.Seq)}, 3000)) {
					t.Fatalf("call %d got the answer of another", head.Seq)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := host.out.awaitSent(ctx, false); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is kept is written before what comes later, and the end is not reported
// before it is.
func TestSpillConnKeepsOrder(t *testing.T) {
	here, there := tcpPair(t)
	conn := NewOverflowConn(here)
	conn.keep(true)
	var want []byte
	for i := 0; conn.flushed(); i++ {
		block := bytes.Repeat([]byte{byte(i)}, 64<<10)
		if _, err := conn.Write(block); err != nil {
			t.Fatal(err)
		}
		want = append(want, block...)
	}
	last := []byte("the last words")
	if _, err := conn.Write(last); err != nil { // behind what waits already
		t.Fatal(err)
	}
	want = append(want, last...)
	flushed := make(chan error, 1)
	go func() { flushed <- conn.flush() }()
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		k, err := there.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if !bytes.Equal(got, want) {
		t.Error("the bytes came in another order")
	}
	if err := <-flushed; err != nil || !conn.flushed() {
		t.Errorf("flush = %v, flushed = %v", err, conn.flushed())
	}
}

// A connection that fails while something waits says so to whoever waits.
func TestSpillConnFails(t *testing.T) {
	here, _ := tcpPair(t)
	conn := NewOverflowConn(here)
	conn.keep(true)
	for conn.flushed() {
		if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	_ = here.Close()
	if err := conn.flush(); err == nil {
		t.Error("flush reports success, though the connection was closed")
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("Write reports success, though the connection was closed")
	}
}
