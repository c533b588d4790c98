// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

const (
	// hostPollInterval is how often upstream looks whether a plugin's process
	// is there.
	hostPollInterval = time.Second

	// tooLong is when the tests stop waiting for an answer of upstream that
	// would never come, or not for minutes. It is a multiple of the timeouts
	// with which the fork is configured beside it.
	tooLong = 4 * time.Second

	shortTimeoutMS = 500
)

// answers reports whether a call ends within tooLong.
func answers(call *rpc.Call) bool {
	select {
	case <-call.Done:
		return true
	case <-time.After(tooLong):
		return false
	}
}

// impatient sets short timeouts, which the fork has and upstream has not.
func impatient(spec hostapi.Client) hostapi.Client {
	spec.DialTimeoutMS, spec.PingTimeoutMS, spec.KeepaliveMS = shortTimeoutMS, shortTimeoutMS, shortTimeoutMS
	return spec
}

// freeze stops the process of a pod until the test ends.
func freeze(t *testing.T, p *pod) {
	t.Helper()
	stopProcess(t, p.Cmd.Process)
}

// stopProcess stops a process until the test ends, or SIGCONT.
func stopProcess(t *testing.T, process *os.Process) {
	t.Helper()
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("stop process %d: %v", process.Pid, err)
	}
	t.Cleanup(func() { _ = process.Signal(syscall.SIGCONT) })
	kit.Eventually(t, "all threads of the process are stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			// PID (NAME) STATE ...; a thread may end while we look.
			text, err := os.ReadFile(thread)
			if _, state, ok := strings.Cut(string(text), ") "); err == nil && ok && state[0] != 'T' {
				return false
			}
		}
		return len(threads) > 0
	})
}

func TestPoint5EverythingEnds(t *testing.T) {
	point{5, "Ping, dial and calls wait for ever on a silent peer", protocols(func(t *testing.T, protocol string) {
		p := startPod(t, upstream, podSpec{Plugin: single(protocol)})
		host := startHost(t, upstream)
		host.attach("frozen", p)
		freeze(t, p)
		if call := host.Send("Ping", hostapi.Named{Name: "frozen"}, &hostapi.None{}); answers(call) {
			t.Errorf("a ping of a frozen plugin ends with %v", call.Error)
		}
		mute := p.client("mute")
		mute.Reattach.Network, mute.Reattach.Address = "tcp", silent(t).String()
		host.Must("New", mute, &hostapi.None{})
		// Over net/rpc a client of a peer that never said a word looks like any
		// other. Over gRPC it takes 20 s, gRPC's own limit, to get as far.
		command := "Connect"
		if protocol == "netrpc" {
			host.Must(command, hostapi.Named{Name: "mute"}, &hostapi.Connection{})
			command = "Ping"
		}
		if call := host.Send(command, hostapi.Named{Name: "mute"}, &hostapi.None{}); answers(call) {
			t.Errorf("%s of a peer that says nothing ends with %v", command, call.Error)
		}
	}), protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		host := startHost(t, fork)
		host.Open(impatient(p.client("frozen")))
		host.Open(impatient(p.client("calling")))
		waiting := host.Send("Try", hostapi.Action{Name: "calling", Do: "sleep", N: 60_000}, &hostapi.Failure{})
		kit.Eventually(t, "the call is in flight", func() bool { return host.Report("frozen").Sleeping == 1 })
		freeze(t, p)
		ping := host.Send("Ping", hostapi.Named{Name: "frozen"}, &hostapi.None{})
		if !answers(ping) || ping.Error == nil {
			t.Errorf("a ping of a frozen plugin ends with %v, want an error within %v", ping.Error, tooLong)
		}
		if !answers(waiting) || waiting.Error != nil {
			t.Fatalf("a call to a frozen plugin goes on for more than %v, or: %v", tooLong, waiting.Error)
		}
		if f := waiting.Reply.(*hostapi.Failure); !f.Lost {
			t.Errorf("a call to a frozen plugin ends with %q, want an error that says the connection was lost", f.Text)
		}
		mute := impatient(p.client("mute"))
		mute.Reattach.Address = silent(t).String()
		host.Must("New", mute, &hostapi.None{})
		connect := host.Send("Connect", hostapi.Named{Name: "mute"}, &hostapi.Connection{})
		if !answers(connect) || connect.Error == nil {
			t.Errorf("attaching to a peer that says nothing ends with %v, want an error within %v", connect.Error, tooLong)
		}
	})}.run(t)
}

func TestPoint5DialHasADeadline(t *testing.T) {
	point{5, "dialling an address that drops packets", func(t *testing.T) {
		host := startHost(t, upstream)
		host.Must("New", hole(t), &hostapi.None{})
		if call := host.Send("Start", hostapi.Named{Name: "hole"}, &hostapi.Outcome{}); answers(call) {
			t.Errorf("dialling ends with %v", call.Error)
		}
	}, func(t *testing.T) {
		host := startHost(t, fork)
		host.Must("New", impatient(hole(t)), &hostapi.None{})
		call := host.Send("Start", hostapi.Named{Name: "hole"}, &hostapi.Outcome{})
		if !answers(call) || call.Error == nil {
			t.Errorf("dialling ends with %v, want an error within %v", call.Error, tooLong)
		}
	}}.run(t)
}

// hole is a client for an address whose kernel drops what is sent to it: the
// queue of its listener is full, and nobody accepts.
func hole(t *testing.T) hostapi.Client {
	t.Helper()
	address := fullListener(t)
	return hostapi.Client{
		Name:     "hole",
		Versions: map[int]string{1: "netrpc"},
		Reattach: &hostapi.Reattach{Protocol: "netrpc", Network: "tcp", Address: address},
	}
}

func TestPoint6CallsSurviveSIGTERM(t *testing.T) {
	const calls = 10
	load := hostapi.Load{Name: "a"}
	for range calls {
		load.SleepMS = append(load.SleepMS, 700)
	}
	// terminate sends SIGTERM while the calls are in flight.
	terminate := func(t *testing.T, s side, p *pod) hostapi.LoadResult {
		t.Helper()
		host := startHost(t, s)
		host.attach("a", p)
		host.attach("watcher", p)
		var result hostapi.LoadResult
		call := host.Send("Load", load, &result)
		kit.Eventually(t, "all calls are in flight", func() bool { return host.Report("watcher").Sleeping == calls })
		p.Signal(syscall.SIGTERM)
		p.AwaitExit()
		<-call.Done
		if call.Error != nil {
			t.Fatalf("run the load: %v", call.Error)
		}
		return result
	}
	point{6, "SIGTERM loses the calls in flight", protocols(func(t *testing.T, protocol string) {
		p := startPod(t, upstream, podSpec{Plugin: single(protocol)})
		if got := terminate(t, upstream, p); got.Failed != calls {
			t.Errorf("%d of %d calls failed, want all", got.Failed, calls)
		}
		if p.ExitCode != -1 {
			t.Errorf("the plugin ended with code %d, want -1: by the signal", p.ExitCode)
		}
	}), protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		if got := terminate(t, fork, p); got.Failed != 0 || got.Swapped != 0 || got.Calls != calls {
			t.Errorf("of %d calls: %+v, want all to have succeeded", calls, got)
		}
		if p.ExitCode != 0 {
			t.Errorf("the plugin ended with code %d, want 0", p.ExitCode)
		}
	})}.run(t)
}
