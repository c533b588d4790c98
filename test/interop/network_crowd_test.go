// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"net/rpc"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

const (
	crowdProcesses = 10
	crowdEach      = 5 // hosts in one process: 50 in all
	crowdTime      = 10 * time.Second
	crowdQuitters  = 5
)

// TestCrowd attaches 50 hosts to one plugin. Each calls it, and is called back
// over its own broker, for 10 s. Meanwhile other hosts come and go, and five
// hosts of upstream send Quit or Shutdown. Nobody may notice anything of it,
// and the plugin must be left as it was.
func TestCrowd(t *testing.T) {
	protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		watcher := startHost(t, fork)
		watcher.attach("watcher", p)
		// What is made once and kept, by gRPC for instance, is there afterwards.
		visit(t, fork, p, "the first")
		before := calm(t, watcher, 0)
		memory := p.residentBytes()

		loads, hosts := startCrowd(t, p)
		guests, quitters := comeAndGo(t, p)
		total, peak := awaitCrowd(t, loads), p.residentBytes()
		watcher.works("watcher")
		for _, host := range hosts {
			for i := range crowdEach {
				host.Must("Kill", hostapi.Named{Name: crowdName(host, i)}, &hostapi.None{})
			}
		}
		after := calm(t, watcher, before.Goroutines)
		// Some timers of the last sessions have yet to let go of them.
		const leak = 1 << 20
		start := time.Now()
		if !kit.Within(kit.Patience, func() bool {
			after = watcher.Report("watcher")
			return after.HeapBytes <= before.HeapBytes+leak
		}) {
			t.Errorf("the heap grew from %d to %d bytes, want at most %d more", before.HeapBytes, after.HeapBytes, leak)
		}
		report(t, fmt.Sprintf("crowd %-6s: %d hosts for %v: %d calls, %d failed, %d swapped; %d guests came and went, %d hosts sent Quit or Shutdown; "+
			"goroutines %d before, %d after; heap %d KiB before, %d KiB %v after; resident %d MiB before, %d MiB at the end",
			protocol, crowdProcesses*crowdEach, crowdTime, total.Calls, total.Failed, total.Swapped, guests, quitters,
			before.Goroutines, after.Goroutines, before.HeapBytes>>10, after.HeapBytes>>10, time.Since(start).Round(time.Millisecond), memory>>20, peak>>20))
	})(t)
}

func crowdName(h *hostProc, i int) string { return fmt.Sprintf("host %d.%d", h.Cmd.Process.Pid, i) }

// startCrowd attaches the hosts and lets all of them call.
func startCrowd(t *testing.T, p *pod) (loads []*rpc.Call, hosts []*hostProc) {
	t.Helper()
	for range crowdProcesses {
		host := startHost(t, fork)
		hosts = append(hosts, host)
		for i := range crowdEach {
			host.attach(crowdName(host, i), p)
		}
	}
	for _, host := range hosts {
		for i := range crowdEach {
			load := hostapi.Load{Name: crowdName(host, i), ForMS: crowdTime.Milliseconds(), Callback: true}
			loads = append(loads, host.Send("Load", load, &hostapi.LoadResult{}))
		}
	}
	return loads, hosts
}

// awaitCrowd adds up what the hosts saw.
func awaitCrowd(t *testing.T, loads []*rpc.Call) hostapi.LoadResult {
	t.Helper()
	var total hostapi.LoadResult
	for _, load := range loads {
		select {
		case <-load.Done:
		case <-time.After(crowdTime + kit.Patience):
			t.Fatalf("the load of a host goes on for more than %v", crowdTime+kit.Patience)
		}
		if load.Error != nil {
			t.Fatalf("run a load: %v", load.Error)
		}
		got := load.Reply.(*hostapi.LoadResult)
		total.Calls += got.Calls
		total.Failed += got.Failed
		total.Swapped += got.Swapped
		if got.Failed > 0 || got.Swapped > 0 || got.Calls == 0 {
			t.Errorf("%s made %d calls, of which %d failed and %d had the answer of another: %s",
				load.Args.(hostapi.Load).Name, got.Calls, got.Failed, got.Swapped, got.FirstErr)
		}
	}
	return total
}

// visit attaches as a host of its own process, calls, and leaves by Kill.
func visit(t *testing.T, s side, p *pod, name string) {
	t.Helper()
	host := startHost(t, s)
	host.attach(name, p)
	host.works(name)
	host.Must("Kill", hostapi.Named{Name: name}, &hostapi.None{})
	host.Stop()
}

// comeAndGo lets hosts attach and leave until the crowd's time is over, some of
// them by what ends a plugin of upstream.
func comeAndGo(t *testing.T, p *pod) (guests, quitters int) {
	t.Helper()
	start := time.Now()
	for time.Since(start) < crowdTime-time.Second {
		if due := time.Duration(quitters+1) * crowdTime / (crowdQuitters + 2); quitters < crowdQuitters && time.Since(start) > due {
			visit(t, upstream, p, fmt.Sprint("quitter ", quitters))
			quitters++
			continue
		}
		visit(t, fork, p, fmt.Sprint("guest ", guests))
		guests++
	}
	if quitters != crowdQuitters {
		t.Errorf("%d hosts sent Quit or Shutdown, want %d", quitters, crowdQuitters)
	}
	return guests, quitters
}

// calm returns the plugin's state once its goroutines are as many as want, or,
// for 0, have stopped becoming fewer.
func calm(t *testing.T, watcher *hostProc, want int) kit.Status {
	t.Helper()
	last := watcher.Report("watcher")
	still := 0
	settled := func() bool {
		now := watcher.Report("watcher")
		if now.Goroutines == last.Goroutines {
			still++
		} else {
			still = 0
		}
		last = now
		if want > 0 {
			return now.Goroutines <= want
		}
		return still >= 10
	}
	if !kit.Within(kit.Patience, settled) {
		out, _ := watcher.Act("watcher", "report", "stacks", 0)
		t.Fatalf("the plugin has %d goroutines, want %d:\n%s", last.Goroutines, want, out.Text)
	}
	return last
}
