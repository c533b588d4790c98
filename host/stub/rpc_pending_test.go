// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

func TestRPCReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := handStub(t, newHandRouter(echoing("a")), nil)
		defer client.Close()
		if err := client.Call("Plugin.Get", "x", nil); err != nil {
			t.Errorf("a caller that wants no reply: %v", err)
		}
		err := client.Call("Plugin.Get", "x", "not a pointer")
		if f, ok := Cause(err); !ok || f.Reason != ReasonAnswer {
			t.Errorf("a reply that is no pointer: %v", err)
		}
		err = client.Call("Plugin.Get", "x", (*string)(nil))
		if f, ok := Cause(err); !ok || f.Reason != ReasonAnswer {
			t.Errorf("a reply that points to nothing: %v", err)
		}
		preset := "preset"
		if err := client.Call("Plugin.Get", "", &preset); err != nil || preset != "" {
			t.Errorf("a reply is overwritten: got %q, %v", preset, err)
		}
	})
}

// TestRPCDoneChannel is for callers of Client.Go who share a channel.
func TestRPCDoneChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := handStub(t, newHandRouter(echoing("a")), nil)
		defer client.Close()
		small := make(chan *rpc.Call, 1)
		for range 3 {
			client.Go("Plugin.Get", "x", new(string), small)
		}
		synctest.Wait()
		if len(small) != 1 {
			t.Errorf("%d calls in a channel with room for one", len(small))
		}
		shared := make(chan *rpc.Call, 100)
		want := make(map[*rpc.Call]bool)
		for range cap(shared) {
			want[client.Go("Plugin.Get", "x", new(string), shared)] = true
		}
		for range cap(shared) {
			call := <-shared
			if call.Error != nil || *call.Reply.(*string) != "x" || !want[call] {
				t.Errorf("got %+v", call)
			}
			delete(want, call)
		}
	})
}

// TestNetRPCKeepsItsCalls fails with a Go release whose net/rpc is another.
func TestNetRPCKeepsItsCalls(t *testing.T) {
	if err := CheckNetRPC(); err != nil {
		t.Error(err)
	}
	other := reflect.ValueOf(&struct{ pending map[int]*rpc.Call }{}).Elem()
	if _, err := pendingIn(other); err == nil || !strings.Contains(err.Error(), "net/rpc of go") {
		t.Errorf("a net/rpc that keeps them otherwise: got %v", err)
	}
}
