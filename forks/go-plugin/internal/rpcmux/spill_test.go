// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"bytes"
	"context"
	"errors"
	"net/rpc"
	"reflect"
	"testing"
	"time"
)

// A plugin that reads nothing does not hold up who sends, and gets all of it
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
				_, err := channel.Send("Plugin.Echo", sent, bytes.Repeat([]byte{byte(sent)}, 3000))
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
			plugin.Register(server)
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = plugin.Serve()
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
			if err := host.out.awaitSent(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is kept is written before what comes later, and the end is not reported
// before it is.
func TestSpillConnKeepsOrder(t *testing.T) {
	here, there := tcpPair(t)
	spill := NewSpillConn(here)
	spill.keep(true)
	var want []byte
	for i := 0; spill.settled(); i++ {
		block := bytes.Repeat([]byte{byte(i)}, 64<<10)
		if _, err := spill.Write(block); err != nil {
			t.Fatal(err)
		}
		want = append(want, block...)
	}
	last := []byte("the last words")
	if _, err := spill.Write(last); err != nil { // behind what waits already
		t.Fatal(err)
	}
	want = append(want, last...)
	settled := make(chan error, 1)
	go func() { settled <- spill.settle() }()
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
	if err := <-settled; err != nil || !spill.settled() {
		t.Errorf("settle = %v, settled = %v", err, spill.settled())
	}
}

// A connection that fails while something waits says so to who waits.
func TestSpillConnFails(t *testing.T) {
	here, _ := tcpPair(t)
	spill := NewSpillConn(here)
	spill.keep(true)
	for spill.settled() {
		if _, err := spill.Write(make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	_ = here.Close()
	if err := spill.settle(); err == nil {
		t.Error("settle reports success, though the connection was closed")
	}
	if _, err := spill.Write([]byte("x")); err == nil {
		t.Error("Write reports success, though the connection was closed")
	}
}
