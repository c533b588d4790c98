// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"net"
	"net/rpc"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// warm makes a plugin believe that a method is quick.
func warm(t testing.TB, client *rpc.Client) {
	t.Helper()
	for range 200 {
		mustUpper(t, client)
	}
}

// trap is quick until it is not: its methods wait once the trap is set.
type trap struct {
	set     atomic.Bool
	caught  chan struct{}
	release chan struct{}
}

func newTrap() *trap { return &trap{caught: make(chan struct{}, 1000), release: make(chan struct{})} }

func (t *trap) Upper(in string, out *string) error {
	if t.set.Load() {
		t.caught <- struct{}{}
		<-t.release
	}
	*out = "A"
	return nil
}

// Release lets the others go.
func (t *trap) Release(struct{}, *struct{}) error {
	t.set.Store(false)
	close(t.release)
	return nil
}

// A method that was quick, and then takes its time, holds up nobody: not even
// the call that it waits for.
func TestMistakenForQuick(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		tr := newTrap()
		client, other := p.client(tr), p.client(newThing())
		warm(t, client)
		warm(t, other)
		tr.set.Store(true)
		var calls [5]*rpc.Call // at once: some requests are read while others run
		for i := range calls {
			calls[i] = client.Go("Plugin.Upper", "a", new(string), nil)
			mustUpper(t, other)
		}
		for range calls {
			<-tr.caught
		}
		mustUpper(t, other)
		if err := client.Call("Plugin.Release", struct{}{}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			if <-call.Done; call.Error != nil {
				t.Errorf("a call that was caught: %v", call.Error)
			}
		}
		warm(t, client)
	})
}

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

// counter is a Counter.
type counter struct{ begun, ended atomic.Int64 }

func (c *counter) Begin() { c.begun.Add(1) }
func (c *counter) End()   { c.ended.Add(1) }

// Each call that is read is counted, and its end, whatever comes of it. Those
// of the control channel are not.
func TestCalls(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	control := rpc.NewServer()
	if err := control.RegisterName("Control", newThing()); err != nil {
		t.Fatal(err)
	}
	var answered sync.Map
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Control: control, Calls: &calls, Answered: func(method string) { answered.Store(method, true) }})
	ofControl := rpc.NewClientWithCodec(clientCodec{p.host.Channel(0)})
	held := newThing()
	client := p.client(held)
	holding := client.Go("Plugin.Hold", struct{}{}, nil, nil)
	<-held.held
	mustUpper(t, client)
	if err := ofControl.Call("Control.Upper", "a", new(string)); err != nil {
		t.Fatal(err)
	}
	for method, args := range map[string]any{"Plugin.None": "a", "Plugin.Upper": 7, "Plugin.Odd": struct{}{}, "Plugin.Fail": "no"} {
		if err := client.Call(method, args, nil); err == nil {
			t.Errorf("%s succeeds", method)
		}
	}
	eventually(t, "five of six calls have ended", func() bool { return calls.begun.Load() == 6 && calls.ended.Load() == 5 })
	close(held.gate)
	<-holding.Done
	eventually(t, "all calls have ended", func() bool { return calls.ended.Load() == 6 })
	if _, ok := answered.Load("Control.Upper"); !ok {
		t.Error("the session was not told that Control.Upper was answered")
	}
}

// Calls that outlive their session end all the same, and are counted.
func TestCallsOutliveSession(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Calls: &calls})
	tr := newTrap()
	client := p.client(tr)
	warm(t, client)
	began := calls.begun.Load()
	tr.set.Store(true)
	for range 3 {
		client.Go("Plugin.Upper", "a", new(string), nil)
	}
	for range 3 {
		<-tr.caught
	}
	p.end()
	close(tr.release)
	eventually(t, "the calls have ended", func() bool { return calls.ended.Load() == began+3 })
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
						if m.kind != probe {
							t.Errorf("got %+v", m)
						}
						n++
						if test.answers {
							host.write(rawMessage(alive, ""))
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
