// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// replicas starts plugins that know nothing of each other.
func replicas(t *testing.T, n int, protocol string, env ...string) (all []*pod, targets string) {
	for range n {
		p := startPlugin(t, protocol, env...)
		all = append(all, p)
		targets += "store=" + p.address + ","
	}
	return all, strings.TrimSuffix(targets, ",")
}

// TestAttachReplay has a host that puts a value once and reads it again and again, of
// three replicas that keep values in their memories. Each is killed while the host reads.
func TestAttachReplay(t *testing.T) {
	t.Parallel()
	pods, targets := replicas(t, 3, "grpc")
	h := startHost(t, upstream)
	h.Open(hostapi.Client{Name: "a", Path: link(t, "target: "+targets, "replay: [Put]", "idempotent: [Get]"), Versions: map[int]string{1: "grpc"}})
	h.Must("Put", hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}, none)
	read := func() {
		t.Helper()
		var got hostapi.Entry
		if err := h.Do("Get", hostapi.Entry{Name: "a", Key: "colour"}, &got); err != nil || string(got.Value) != "blue" {
			t.Fatalf("%q and %v", got.Value, err)
		}
	}
	for _, p := range pods[:2] {
		for range 100 {
			read()
		}
		p.End(syscall.SIGKILL)
		for range 100 {
			read()
		}
		counted(t, "killed", 1)
		counted(t, "calls", 200)
	}
	if !pods[2].Running() {
		t.Error("the replica that was left alone has ended")
	}
}

// TestAttachAffinity has a host that keeps to one of three replicas, and hears of the loss
// as it would of a child that crashed.
func TestAttachAffinity(t *testing.T) {
	t.Parallel()
	pods, targets := replicas(t, 3, "grpc")
	h := startHost(t, upstream)
	spec := hostapi.Client{Name: "a", Path: link(t, "target: "+targets, "affinity: session"), Versions: map[int]string{1: "grpc"}}
	h.Open(spec)
	kept := h.pid("a")
	for range 100 {
		if pid := h.pid("a"); pid != kept {
			t.Fatalf("a call went to %d, not to %d", pid, kept)
		}
	}
	for _, p := range pods {
		if p.Pid() == kept {
			p.End(syscall.SIGKILL)
		}
	}
	kit.Eventually(t, "the host hears of the end", func() bool {
		var s hostapi.State
		h.Must("State", hostapi.Named{Name: "a"}, &s)
		return s.Exited
	})
	spec.Name = "b"
	h.Open(spec)
	if h.pid("b") == kept {
		t.Error("the replica that was killed has answered")
	}
}

// TestAttachRollout replaces each of three replicas while a host calls, which was not
// built for that. What may be repeated does not fail, and nothing else is run twice.
func TestAttachRollout(t *testing.T) {
	t.Parallel()
	// Each starts again at its port, so these are not such as are given to whoever asks.
	pods, targets := replicas(t, 3, "grpc", "PLUGIN_MIN_PORT=21000", "PLUGIN_MAX_PORT=21999")
	h := startHost(t, upstream)
	h.Open(hostapi.Client{Name: "a", Path: link(t, "target: "+targets, "replay: [Put]", "idempotent: [Get]"), Versions: map[int]string{1: "grpc"}})
	h.Must("Put", hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}, none)

	stop := make(chan struct{})
	var callers sync.WaitGroup
	var reads, writes, failedReads, failedWrites, replaced atomic.Int64
	for caller := range 4 {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var got hostapi.Entry
				if err := h.Do("Get", hostapi.Entry{Name: "a", Key: "colour"}, &got); err != nil || string(got.Value) != "blue" {
					failedReads.Add(1)
					t.Errorf("an idempotent call failed: %q and %v", got.Value, err)
				}
				reads.Add(1)
				if _, err := h.Act("a", "say", fmt.Sprintf("written %d/%d\n", caller, i), 0); err != nil {
					failedWrites.Add(1)
					t.Logf("with %d replicas replaced: %v", replaced.Load(), err)
				}
				writes.Add(1)
			}
		})
	}
	var stdouts []*kit.Buffer
	for i, p := range pods {
		seen := reads.Load() + 100
		kit.Eventually(t, "the host calls", func() bool { return reads.Load() > seen })
		stdouts = append(stdouts, p.stdout)
		how := syscall.SIGTERM
		if i == 2 {
			how = syscall.SIGKILL
		}
		p.End(how)
		replaced.Add(1)
		port := p.address[strings.LastIndexByte(p.address, ':')+1:]
		stdouts = append(stdouts, startPlugin(t, "grpc", "PLUGIN_MIN_PORT="+port, "PLUGIN_MAX_PORT="+port).stdout)
	}
	seen := reads.Load() + 100
	kit.Eventually(t, "the host calls", func() bool { return reads.Load() > seen })
	close(stop)
	callers.Wait()

	runs := make(map[string]int)
	kit.Eventually(t, "what was answered was run", func() bool {
		clear(runs)
		for _, out := range stdouts {
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "written ") {
					runs[line]++
				}
			}
		}
		return int64(len(runs)) >= writes.Load()-failedWrites.Load()
	})
	twice := 0
	for line, n := range runs {
		if n > 1 {
			twice++
			t.Errorf("%q was run %d times", line, n)
		}
	}
	counted(t, "idempotent_calls", reads.Load())
	counted(t, "idempotent_calls_failed", failedReads.Load())
	counted(t, "other_calls", writes.Load())
	counted(t, "run_twice", int64(twice))
	t.Logf("%d idempotent calls, %d failed; %d other calls, %d failed, %d run, none twice", reads.Load(), failedReads.Load(), writes.Load(), failedWrites.Load(), len(runs))
}
