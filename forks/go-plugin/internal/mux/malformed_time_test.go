// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"errors"
	"io"
	"net"
	"net/rpc"
	"slices"
	"testing"
	"testing/synctest"
)

func TestMadeUpByHost(t *testing.T) {
	for name, test := range madeUp {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				host, p := rawHost(t, here, there, PluginConfig{}, newThing())
				host.write(host.request(1, 1, "Plugin.Upper", "a"))
				host.next()
				sent := slices.Clone(test.data)
				if test.plugin == ignored {
					sent = append(sent, host.request(1, 2, "Plugin.Upper", "a")...)
				}
				go func() { _, _ = here.Write(sent) }()
				checkOutcome(t, test.plugin, p.Err, func() error {
					var m message
					for m.number != 2 {
						if err := host.in.next(&m); err != nil {
							return err
						}
					}
					return nil
				}, here)
			})
		})
	}
}

func TestMadeUpByPlugin(t *testing.T) {
	for name, test := range madeUp {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				h := NewHost(here, HostConfig{})
				defer h.Close()
				client := rpc.NewClientWithCodec(clientCodec{h.Channel(1)})
				plugin := newRawPeer(t, there)
				sent := slices.Clone(test.data)
				if test.host == ignored {
					last, _, err := plugin.values.add(newMessage(kindAnswer, 1, 0), "A", 0)
					if err != nil {
						t.Fatal(err)
					}
					sent = append(sent, last.data...)
				}
				drained := make(chan struct{})
				go func() {
					defer close(drained)
					_ = plugin.in.next(&message{}) // the request
					go func() { _, _ = there.Write(sent) }()
					_, _ = io.Copy(io.Discard, there)
				}()
				defer func() { _ = h.Close(); <-drained }()
				checkOutcome(t, test.host, h.Err, func() error { return client.Call("Plugin.Upper", "a", new(string)) }, there)
			})
		})
	}
}

// checkOutcome checks what became of a session, whose next call the other
// function makes, when conn has been given what was made up.
func checkOutcome(t *testing.T, want outcome, why func() error, call func() error, conn net.Conn) {
	t.Helper()
	called := make(chan error, 1)
	go func() { called <- call() }()
	synctest.Wait()
	switch want {
	case ignored:
		if len(called) == 0 || why() != nil {
			t.Fatalf("the session ended with %v, or waits", why())
		}
		if err := <-called; err != nil {
			t.Errorf("the next call: %v", err)
		}
		return
	case ended:
		if !errors.Is(why(), errMalformed) {
			t.Errorf("the session ended with %v, want malformed message", why())
		}
	case cut:
		if why() != nil {
			t.Errorf("the session ended with %v before the message did", why())
		}
	}
	_ = conn.Close()
	if err := <-called; err == nil {
		t.Error("the next call succeeds")
	}
}
