// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"
)

// Quitter is an argument that ends the goroutine which decodes it.
type Quitter struct{}

func (*Quitter) GobEncode() ([]byte, error) { return []byte("quit"), nil }
func (*Quitter) GobDecode([]byte) error     { runtime.Goexit(); return nil }

type quitterService struct{}

func (quitterService) Take(*Quitter, *struct{}) error { return nil }

// endOfCall is a counter that notes whether the session had ended before its call.
type endOfCall struct {
	counter
	session chan *Plugin
	late    atomic.Bool
}

func (e *endOfCall) End() {
	select {
	case <-(<-e.session).Done():
		e.late.Store(true)
	default:
	}
	e.counter.End()
}

// A call whose argument ends its reader is over, and before its session: a plugin that
// drains does not wait for it, and whoever waits for the session finds it over.
func TestDecoderEndsItsCall(t *testing.T) {
	here, there := net.Pipe()
	calls := &endOfCall{session: make(chan *Plugin, 1)}
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Calls: calls, Panicked: func(string, any) string { return "" }})
	calls.session <- p.plugin
	if err := p.client(quitterService{}).Call("Plugin.Take", &Quitter{}, &struct{}{}); err == nil {
		t.Error("the call was answered")
	}
	p.end()
	if begun, ended := calls.begun.Load(), calls.ended.Load(); begun != 1 || ended != 1 {
		t.Errorf("%d calls have begun, %d ended, want 1 of each", begun, ended)
	}
	if calls.late.Load() {
		t.Error("the session had ended before its call did")
	}
}
