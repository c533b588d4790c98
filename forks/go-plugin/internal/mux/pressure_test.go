// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// The answers of requests that came together leave together, but not all of
// them at once if they are many: the plugin reads nothing more while that much
// waits.
func TestAnswersOfLargeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		host, _ := rawHost(t, here, there, PluginConfig{}, newThing())
		const size = largeAnswer - 100
		for n := range uint64(500) { // until the method is known to be quick
			host.write(host.request(1, n, "Plugin.Blank", size))
			host.next()
		}
		var requests []byte
		var count uint64
		for len(requests) < 4000 { // what the plugin's buffer takes
			requests = append(requests, host.request(1, count, "Plugin.Blank", size)...)
			count++
		}
		host.write(requests)
		for n := range count {
			if m := host.next(); m.kind != kindAnswer || m.number != n {
				t.Fatalf("got %+v, want answer %d", m, n)
			}
		}
	})
}

// A host that sends a long request over a slow network is not silent.
func TestSlowRequestIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		host, _ := rawHost(t, here, there, PluginConfig{Silence: 10 * time.Second}, newThing())
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for data := host.request(1, 7, "Plugin.Echo", make([]byte, 1<<20)); len(data) > 0; time.Sleep(time.Second) {
				some := min(len(data), 16<<10)
				if _, err := here.Write(data[:some]); err != nil {
					return // The reader says why.
				}
				data = data[some:]
			}
		}()
		defer func() { <-sent }()
		m := host.next()
		for m.kind == kindGrant {
			m = host.next()
		}
		if m.kind != kindAnswer || m.number != 7 {
			t.Errorf("got %+v", m)
		}
	})
}

// A host that takes a long answer from a slow network is not silent.
func TestSlowAnswerIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		host, p := rawHost(t, here, there, PluginConfig{Silence: 10 * time.Second}, newThing())
		host.write(host.request(1, 7, "Plugin.Blank", 1<<20))
		var m message
		for m.kind == 0 || m.more {
			if err := host.in.next(&m); err != nil {
				t.Fatalf("%v, session ended with %v", err, p.Err())
			}
			if m.kind == kindAnswer {
				host.write(rawMessage(kindGrant, "", 1, 7, 1<<20))
			}
			for host.in.left > 0 {
				time.Sleep(time.Second)
				n, err := host.in.r.Discard(min(host.in.left, 16<<10))
				host.in.left -= n
				if err != nil {
					t.Fatalf("%v, session ended with %v", err, p.Err())
				}
			}
		}
	})
}

// A plugin that probes and takes no answer does not fill the host's memory.
func TestProbesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		h := NewHost(here, HostConfig{})
		defer h.Close()
		c := h.Channel(0)
		read := make(chan error, 1)
		go func() {
			for {
				if err := c.host.receive(c); err != nil {
					read <- err
					return
				}
			}
		}()
		plugin := newRawPeer(t, there)
		for range maxUnwritten / 4 {
			plugin.write(rawMessage(kindProbe, ""))
		}
		synctest.Wait()
		h.out.mu.Lock()
		waiting := h.out.waiting.size
		h.out.mu.Unlock()
		if waiting > maxUnwritten+100 {
			t.Errorf("%d bytes wait to be taken", waiting)
		}
		_ = there.Close()
		<-read
	})
}

// A host that takes no answers gets to ask for little more than it takes.
func TestHostThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		var calls counter
		host, p := rawHost(t, here, there, PluginConfig{Calls: &calls}, newThing())
		const size = 10_000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for n := range uint64(1000) {
				if _, err := here.Write(host.request(1, n, "Plugin.Blank", size)); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		p.out.mu.Lock()
		waiting := p.out.waiting.size
		p.out.mu.Unlock()
		if ran := calls.ended.Load(); waiting > maxUnwritten+2*size || ran > 3*maxUnwritten/size {
			t.Errorf("%d bytes wait to be taken, of %d calls", waiting, ran)
		}
		for range 1000 { // and it goes on when it does read
			host.next()
		}
		<-sent
	})
}

// A caller of a plugin that does not read is told so, can wait, and learns of the
// end of the session or of the channel.
func TestPluginThatDoesNotRead(t *testing.T) {
	for name, end := range map[string]func(h *Host, c *Channel, cancel context.CancelFunc){
		"session": func(h *Host, _ *Channel, _ context.CancelFunc) { _ = h.Close() },
		"channel": func(_ *Host, c *Channel, _ context.CancelFunc) { _ = c.Close() },
		"context": func(_ *Host, _ *Channel, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer there.Close()
				h := NewHost(here, HostConfig{})
				defer h.Close()
				c := h.Channel(1)
				var err error
				var end1 uint64
				for n := uint64(0); err == nil; n++ {
					end1, err = c.Send(Request{Method: "Plugin.Blank", Number: n}, make([]byte, 1000))
					if n > 2*maxUnwritten/1000 {
						t.Fatal("there is no end to what it takes")
					}
					synctest.Wait()
				}
				if !errors.Is(err, ErrFull) || end1 != 0 {
					t.Fatalf("got %d, %v", end1, err)
				}
				if taken := c.Taken(); taken == 0 || taken > 2000 {
					t.Errorf("the connection was given %d bytes", taken)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				waited := make(chan error, 1)
				go func() { waited <- c.Await(ctx) }()
				synctest.Wait()
				end(h, c, cancel)
				err = <-waited
				if name == "context" {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("Await = %v", err)
					}
					return
				}
				if _, err := c.Send(Request{Method: "Plugin.Blank", Number: 0}, 1); err == nil || errors.Is(err, ErrFull) {
					t.Errorf("afterwards Send = %v", err)
				}
			})
		})
	}
}
