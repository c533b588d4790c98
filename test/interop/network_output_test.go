// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// A plugin that writes 100 MiB to stdout must not be held up by its hosts, or
// by their absence, and must not keep what they do not read.
const (
	torrent = 100 << 20

	// torrentMemory is how much more memory the plugin may take meanwhile.
	torrentMemory = 64 << 20
)

func TestTorrentWithoutAHost(t *testing.T) {
	protocols(func(t *testing.T, protocol string) {
		var stdout counter
		spec := onNetwork(single(protocol))
		spec.Stdout = &stdout
		p := startPod(t, fork, spec)
		memory := p.residentBytes()
		start := time.Now()
		done := floodAlone(t, fork, p, torrent)
		kit.Eventually(t, "the plugin is through with its output", exists(done))
		took := time.Since(start)
		kit.Eventually(t, "the container's own stdout has all of it", func() bool { return stdout.bytes.Load() >= torrent })
		if n := stdout.bytes.Load(); n != torrent {
			t.Errorf("the container's own stdout has %d bytes, want %d", n, torrent)
		}
		lean(t, p, memory)
		report(t, fmt.Sprintf("100 MiB of stdout, %-6s, no host: %v, container has all, resident %d MiB before, %d MiB after",
			protocol, took.Round(time.Millisecond), memory>>20, p.residentBytes()>>20))
	})(t)
}

// TestTorrentWithHosts lets a plugin print while one host reads, one does not,
// and the process of a third is stopped, so that not even its kernel's buffers
// empty.
func TestTorrentWithHosts(t *testing.T) {
	protocols(func(t *testing.T, protocol string) {
		var stdout counter
		spec := onNetwork(single(protocol))
		spec.Stdout = &stdout
		p := startPod(t, fork, spec)
		healthy, stalled, frozen := startHost(t, fork), startHost(t, fork), startHost(t, fork)
		healthy.attach("healthy", p)
		deaf := p.client("stalled")
		deaf.StallOutput = true
		stalled.Open(deaf)
		stalled.works("stalled")
		frozen.attach("frozen", p)
		// All of them listen before the flood begins: what asks for output comes
		// before the first call on a connection.
		frozen.works("frozen")
		const ready = "ready\n"
		if _, err := healthy.Act("healthy", "say", ready, 0); err != nil {
			t.Fatal(err)
		}
		for name, host := range map[string]*hostProc{"healthy": healthy, "frozen": frozen} {
			kit.Eventually(t, "output arrives at the "+name+" host", func() bool { return host.Output(name).Bytes == int64(len(ready)) })
		}
		memory := p.residentBytes()
		stopProcess(t, frozen.Cmd.Process)

		out, err := healthy.Act("healthy", "flood", "", torrent)
		if err != nil || out.N != torrent {
			t.Fatalf("the plugin wrote %d bytes: %v", out.N, err)
		}
		kit.Eventually(t, "the container's own stdout has all of it", func() bool { return stdout.bytes.Load() >= torrent })
		got := awaitAccounted(t, healthy, "healthy", torrent+int64(len(ready)))
		// The stalled host can call all the time, and is told what it missed
		// when it reads again.
		stalled.works("stalled")
		lean(t, p, memory)
		stalled.Must("Release", hostapi.Named{Name: "stalled"}, &hostapi.None{})
		late := awaitAccounted(t, stalled, "stalled", torrent+int64(len(ready)))
		if err := frozen.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatalf("let the frozen host go on: %v", err)
		}
		thawed := awaitAccounted(t, frozen, "frozen", torrent+int64(len(ready)))
		if late.Missed == 0 || thawed.Missed == 0 {
			t.Error("a host that did not read missed nothing: somebody kept 100 MiB for it")
		}
		report(t, fmt.Sprintf("100 MiB of stdout, %-6s, three hosts: written in %d ms; the healthy one got %d MiB and was told of %d bytes missed, "+
			"the stalled one got %d KiB and was told of %d MiB, the frozen one %d KiB and %d MiB; resident %d MiB before, %d MiB after",
			protocol, out.MS, got.Bytes>>20, got.Missed, late.Bytes>>10, late.Missed>>20, thawed.Bytes>>10, thawed.Missed>>20,
			memory>>20, p.residentBytes()>>20))
	})(t)
}

// awaitAccounted waits until a host has all of an output of size bytes or was
// told how much of it it missed.
func awaitAccounted(t *testing.T, host *hostProc, name string, size int64) hostapi.Output {
	t.Helper()
	var got hostapi.Output
	var err error
	if !kit.Within(kit.Patience, func() bool {
		got = host.Output(name)
		err = accounted(got, size)
		return err == nil
	}) {
		t.Fatalf("the %s host: %v", name, err)
	}
	return got
}

// lean fails the test if the plugin has taken more memory than it may.
func lean(t *testing.T, p *pod, before int64) {
	t.Helper()
	if now := p.residentBytes(); now > before+torrentMemory {
		t.Errorf("the plugin's memory grew from %d to %d MiB, want at most %d more", before>>20, now>>20, torrentMemory>>20)
	}
}
