// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"net"
	"runtime"
	"testing"
)

// Quitter is an argument that ends the goroutine which decodes it.
type Quitter struct{}

func (*Quitter) GobEncode() ([]byte, error) { return []byte("quit"), nil }
func (*Quitter) GobDecode([]byte) error     { runtime.Goexit(); return nil }

type quitterService struct{}

func (quitterService) Take(*Quitter, *struct{}) error { return nil }

// A call whose argument ends its reader is over: a plugin that drains does not wait
// for it.
func TestDecoderEndsItsCall(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Calls: &calls, Panicked: func(string, any) string { return "" }})
	if err := p.client(quitterService{}).Call("Plugin.Take", &Quitter{}, &struct{}{}); err == nil {
		t.Error("the call was answered")
	}
	p.end()
	if begun, ended := calls.begun.Load(), calls.ended.Load(); begun != 1 || ended != 1 {
		t.Errorf("%d calls have begun, %d ended, want 1 of each", begun, ended)
	}
}
