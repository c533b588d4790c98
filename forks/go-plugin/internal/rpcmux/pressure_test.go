// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
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
		const size = batch - 100
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
			if m := host.next(); m.kind != answer || m.number != n {
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
		if m := host.next(); m.kind != answer || m.number != 7 {
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
		if err := host.in.next(&m); err != nil {
			t.Fatal(err)
		}
		for host.in.left > 0 {
			time.Sleep(time.Second)
			n, err := host.in.r.Discard(min(host.in.left, 16<<10))
			host.in.left -= n
			if err != nil {
				t.Fatalf("%v, session ended with %v", err, p.Err())
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
		for range full / 4 {
			plugin.write(rawMessage(probe, ""))
		}
		synctest.Wait()
		h.out.mu.Lock()
		waiting := len(h.out.waiting.data)
		h.out.mu.Unlock()
		if waiting > full+100 {
			t.Errorf("%d bytes wait to be taken", waiting)
		}
		_ = there.Close()
		<-read
	})
}
