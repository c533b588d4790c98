// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"net"
	"net/rpc"
	"testing"
	"testing/synctest"
	"time"
)

// A batch of quick requests with a slow one in it: those before and after it
// are answered meanwhile.
func TestSlowInBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		slow := newThing()
		host, _ := rawHost(t, here, there, PluginConfig{}, slow)
		defer close(slow.gate)
		for n := range uint64(300) {
			host.write(host.request(1, n, "Plugin.Upper", "a"))
			host.next()
		}
		var requests []byte
		for _, r := range []struct {
			number uint64
			method string
			args   any
		}{{1, "Plugin.Upper", "a"}, {2, "Plugin.Upper", "a"}, {3, "Plugin.Hold", struct{}{}}, {4, "Plugin.Upper", "a"}, {5, "Plugin.Upper", "a"}} {
			requests = append(requests, host.request(1, r.number, r.method, r.args)...)
		}
		host.write(requests)
		got := map[uint64]bool{}
		for range 4 {
			got[host.next().number] = true
		}
		if len(got) != 4 || got[3] {
			t.Errorf("answered meanwhile: %v", got)
		}
	})
}

// A request that leaves in pieces holds up nothing that was there before.
func TestAnswersLeaveBeforeReadingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		host, _ := rawHost(t, here, there, PluginConfig{}, newThing())
		for n := range uint64(300) {
			host.write(host.request(1, n, "Plugin.Upper", "a"))
			host.next()
		}
		for cut := 1; cut < 20; cut++ {
			whole := host.request(1, 1, "Plugin.Upper", "a")
			next := host.request(1, 2, "Plugin.Upper", "a")
			host.write(append(whole, next[:cut]...))
			if m := host.next(); m.number != 1 {
				t.Fatalf("got %+v", m)
			}
			host.write(next[cut:])
			if m := host.next(); m.number != 2 {
				t.Fatalf("got %+v", m)
			}
		}
	})
}

// The session ends when the calls of its control channel have.
func TestSessionWaitsForControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		control, held := rpc.NewServer(), newThing()
		if err := control.RegisterName("Control", held); err != nil {
			t.Fatal(err)
		}
		p := newPair(t, here, there, HostConfig{}, PluginConfig{Control: control})
		client := rpc.NewClientWithCodec(clientCodec{p.host.Channel(0)})
		client.Go("Control.Hold", struct{}{}, &struct{}{}, nil)
		<-held.held
		_ = p.host.Close()
		synctest.Wait()
		if len(p.served) > 0 {
			t.Error("Serve returned while a control call was under way")
		}
		close(held.gate)
	})
}

// A plugin is silent about a host that is, until it has asked it.
func TestSilence(t *testing.T) {
	for name, test := range map[string]struct {
		answers bool
		want    error
	}{
		"alive": {answers: true},
		"gone":  {want: ErrSilent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				host, p := rawHost(t, here, there, PluginConfig{Silence: 10 * time.Second}, newThing())
				probes := make(chan int, 1)
				go func() {
					n := 0
					defer func() { probes <- n }()
					for {
						var m message
						if host.in.next(&m) != nil {
							return
						}
						if m.kind != kindProbe {
							t.Errorf("got %+v", m)
						}
						n++
						if test.answers {
							host.write(rawMessage(kindAlive, ""))
						}
					}
				}()
				time.Sleep(5 * time.Minute)
				if err := p.Err(); err != test.want {
					t.Errorf("the session ended with %v, want %v", err, test.want)
				}
				_ = here.Close()
				if n := <-probes; (n > 1) != test.answers || n == 0 {
					t.Errorf("%d probes", n)
				}
			})
		})
	}
}
