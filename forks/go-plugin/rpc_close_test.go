// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"encoding/gob"
	"github.com/hashicorp/go-plugin/internal/calls"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// A child that takes long to answer Quit, and whose last output comes with the answer:
// the wait for it begins then. In real time: yamux pools its timers, and one of a
// synctest bubble would end a later test outside.
func TestOutputAfterLateQuit(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	child, err := yamux.Server(there, yamuxConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	go func() {
		var streams [3]net.Conn
		for i := range streams {
			stream, err := child.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			streams[i] = stream
		}
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
	}()
	client, err := NewRPCClient(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stdout lockedBuffer
	if err := client.SyncStreams(&stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
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
	var calls calls.Gauge
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveNetRPC(there, quitterService{}, rpcServing{calls: &calls, panicked: func(string, any) string { return "" }})
	}()
	client := rpc.NewClient(here)
	defer client.Close()
	if err := client.Call("Plugin.Take", &Quitter{}, &struct{}{}); err == nil {
		t.Error("the call was answered")
	}
	<-served
	if n := calls.Count(); n != 0 {
		t.Errorf("%d calls in flight, want none", n)
	}
}
