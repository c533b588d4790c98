// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// TestDeafHost has a host cause answers without end that it does not read: the plugin reads
// no more of what it says, and keeps little.
func TestDeafHost(t *testing.T) {
	long := func(size, n uint64) []byte {
		return rawMessage(kindRequest|flagMore, name("Plugin.Upper")+string(binary.AppendUvarint(nil, size)), 1, n, 0, 0)
	}
	for what, each := range map[string]func(n uint64) []byte{
		"arguments that are too long":  func(n uint64) []byte { return long(1<<30, n) },
		"arguments that are given up":  func(n uint64) []byte { return append(long(100, n), rawMessage(kindCancel, "", 1, n)...) },
		"parts that ask to be granted": func(n uint64) []byte { return append(long(1, n), rawMessage(kindPart, "x", 1, n)...) },
		"streams that are refused":     func(n uint64) []byte { return rawMessage(kindStream, "\x4d", 2+2*n) },
		"probes":                       func(uint64) []byte { return rawMessage(kindProbe, "") },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				host, p := rawHost(t, here, there, PluginConfig{MaxReceive: 1 << 20, MaxCalls: 100}, newThing())
				sent := make(chan uint64, 1)
				go func() {
					n, err := uint64(0), error(nil)
					for err == nil && n < maxUnwritten {
						var some []byte
						for range 256 {
							some = append(some, each(n)...)
							n++
						}
						_, err = host.conn.Write(some)
					}
					sent <- n
				}()
				synctest.Wait()
				p.out.mu.Lock()
				waiting := p.out.waiting.size
				p.out.mu.Unlock()
				if waiting > maxUnwritten+4<<10 || p.Err() != nil {
					t.Errorf("%d bytes wait for a host that does not read, %v", waiting, p.Err())
				}
				_ = here.Close()
				if n := <-sent; n >= maxUnwritten {
					t.Error("all was read of a host that reads nothing")
				}
			})
		})
	}
}

// TestDeafPlugin has a plugin cause grants without end that it does not read: that ends the
// session.
func TestDeafPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		h := NewHost(here, HostConfig{})
		defer h.Close()
		h.out.most = 1000
		ended := readOn(h.Channel(0))
		var err error
		for n := uint64(0); err == nil && n < maxUnwritten; n++ {
			_, err = there.Write(append(rawMessage(kindAnswer|flagMore, "\x01", 0, n), rawMessage(kindPart, "x", 0, n)...))
		}
		if why := <-ended; err == nil || !errors.Is(why, errBeyond) {
			t.Errorf("the session ended with %v, %v", why, err)
		}
	})
}

// TestQueuedRequestsAreBounded has a host send requests for a channel that takes its time
// to be opened. The plugin reads on meanwhile, and ends the session when they are too many.
func TestQueuedRequestsAreBounded(t *testing.T) {
	for name, more := range map[string]int{"as many as may be": 3, "one more": 4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				config, made := slowKind(newThing())
				host, p := rawHost(t, here, there, config, newThing())
				const before = maxQueued - 4*maxShort + 2000 // as if others waited
				p.queued = before
				host.write(rawMessage(kindOpen, "slow", 2))
				for n := range uint64(more) {
					host.write(host.request(2, n, "Plugin.Upper", strings.Repeat("a", maxShort-500)))
				}
				if more == 4 {
					if m := host.next(); m.kind != kindBye {
						t.Errorf("got %+v", m)
					}
				}
				synctest.Wait()
				if ended := errors.Is(p.Err(), errQueued); ended != (more == 4) {
					t.Errorf("the session ended with %v", p.Err())
				}
				made()
				if more == 4 {
					return
				}
				for range more {
					if m := host.next(); m.kind != kindAnswer {
						t.Fatalf("got %+v", m)
					}
				}
				synctest.Wait()
				if p.mu.Lock(); p.queued != before {
					t.Errorf("%d bytes still wait", p.queued-before)
				}
				p.mu.Unlock()
			})
		})
	}
}
