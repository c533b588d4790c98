// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"testing/synctest"
)

// TestHerdOfCalls has many calls begin while the connection stands still, and has the plugin
// read a little, which wakes them all: no more of them leave than there is room for, and the
// session goes on.
func TestHerdOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		h := NewHost(here, HostConfig{})
		var calls sync.WaitGroup
		defer calls.Wait()
		defer h.Close()
		const count, size = 1500, 16 << 10 // of one call: its header, and its message
		header, message := bytes.Repeat([]byte("h"), size-smallWrite), bytes.Repeat([]byte("m"), smallWrite)
		for range count {
			calls.Add(1)
			go func() {
				defer calls.Done()
				if s, err := h.OpenCall(t.Context(), UnaryCall, header, message, true); err != nil {
					t.Error(err)
				} else {
					defer s.Close()
				}
			}()
		}
		plugin := newRawPeer(t, there)
		for begun := 0; begun < count; {
			if begun < 100 {
				synctest.Wait() // All go as far as they can.
				h.out.mu.Lock()
				waiting := h.out.waiting.size
				h.out.mu.Unlock()
				if waiting > maxUnwritten+2*size {
					t.Fatalf("%d bytes wait for the plugin, %v", waiting, h.Err())
				}
			}
			if m := plugin.next(); m.kind == kindStream {
				begun++
			}
		}
		go func() {
			for {
				if _, err := there.Read(make([]byte, size)); err != nil {
					return
				}
			}
		}()
		calls.Wait()
	})
}
