// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// counter is a container's stdout of which only the size matters.
type counter struct{ bytes atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

// floodAlone makes the plugin write size bytes to stdout while no host is
// attached. It returns the file that appears when the plugin is through.
func floodAlone(t *testing.T, s side, p *pod, size int64) (done string) {
	t.Helper()
	start := filepath.Join(t.TempDir(), "start")
	host := startHost(t, s)
	host.attach("a", p)
	if _, err := host.Act("a", "floodwhen", start, size); err != nil {
		t.Fatalf("order the flood: %v", err)
	}
	// The end of the host's process is the end of its connection. It asks the
	// plugin for nothing, as a host that crashes does not.
	host.Stop()
	writeFile(t, start, nil)
	return start + ".done"
}

func exists(path string) func() bool {
	return func() bool {
		_, err := os.Stat(path)
		return err == nil
	}
}

func TestPoint7OutputWithoutAHost(t *testing.T) {
	const size = 8 << 20
	point{7, "a plugin without a host blocks in its own output", protocols(func(t *testing.T, protocol string) {
		var stdout counter
		p := startPod(t, upstream, podSpec{Plugin: single(protocol), Stdout: &stdout})
		if done := floodAlone(t, upstream, p, size); kit.Within(2*time.Second, exists(done)) {
			t.Error("the plugin got rid of its output although nobody reads it")
		}
		if n := stdout.bytes.Load(); n != 0 {
			t.Errorf("the container's own stdout has %d bytes, want none", n)
		}
	}), protocols(func(t *testing.T, protocol string) {
		var stdout counter
		spec := onNetwork(single(protocol))
		spec.Stdout = &stdout
		p := startPod(t, fork, spec)
		done := floodAlone(t, fork, p, size)
		kit.Eventually(t, "the plugin is through with its output", exists(done))
		kit.Eventually(t, "the container's own stdout has all of it", func() bool { return stdout.bytes.Load() >= size })
		if n := stdout.bytes.Load(); n != size {
			t.Errorf("the container's own stdout has %d bytes, want %d", n, size)
		}
	})}.run(t)
}

func TestPoint7OutputToTwoHosts(t *testing.T) {
	const size = 8 << 20
	both := func(t *testing.T, s side, p *pod) (a, b hostapi.Output) {
		t.Helper()
		first, second := startHost(t, s), startHost(t, s)
		first.attach("a", p)
		second.attach("b", p)
		// Both streams must have begun before the flood does.
		if _, err := first.Act("a", "report", "", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Act("b", "report", "", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Act("a", "flood", "", size); err != nil {
			t.Fatal(err)
		}
		kit.Eventually(t, "the output has arrived", func() bool {
			a, b = first.Output("a"), second.Output("b")
			return a.Bytes+a.Missed >= size && b.Bytes+b.Missed >= size || a.Bytes+b.Bytes == size
		})
		return a, b
	}
	point{7, "two hosts split the output between them", protocols(func(t *testing.T, protocol string) {
		a, b := both(t, upstream, startPod(t, upstream, podSpec{Plugin: single(protocol)}))
		if a.Bytes == 0 || b.Bytes == 0 || a.Bytes+b.Bytes != size {
			t.Errorf("the hosts got %d and %d bytes, want shares of %d", a.Bytes, b.Bytes, size)
		}
	}), protocols(func(t *testing.T, protocol string) {
		a, b := both(t, fork, startPod(t, fork, onNetwork(single(protocol))))
		for _, got := range []hostapi.Output{a, b} {
			if err := accounted(got, size); err != nil {
				t.Error(err)
			}
		}
	})}.run(t)
}

func TestPoint7ContainerLog(t *testing.T) {
	point{7, "what a plugin prints is not in its container's log", func(t *testing.T) {
		var stdout kit.Buffer
		p := startPod(t, upstream, podSpec{Plugin: single("netrpc"), Stdout: &stdout})
		host := startHost(t, upstream)
		host.attach("a", p)
		sayBoth(t, host)
		kit.Eventually(t, "the host has it", func() bool {
			out := host.Output("a")
			return strings.Contains(out.Stdout, "a line") && strings.Contains(out.Stderr, "a complaint")
		})
		if got := stdout.String(); got != "" {
			t.Errorf("the container's stdout has %q, want nothing", got)
		}
		if got := p.Stderr.String(); strings.Contains(got, "a complaint") {
			t.Errorf("the container's stderr has %q, want no complaint", got)
		}
	}, func(t *testing.T) {
		var stdout kit.Buffer
		spec := onNetwork(single("netrpc"))
		spec.Stdout = &stdout
		p := startPod(t, fork, spec)
		host := startHost(t, fork)
		host.attach("a", p)
		sayBoth(t, host)
		kit.Eventually(t, "the host and the container's log have it", func() bool {
			out := host.Output("a")
			return strings.Contains(out.Stdout, "a line") && strings.Contains(out.Stderr, "a complaint") &&
				strings.Contains(stdout.String(), "a line") && strings.Contains(p.Stderr.String(), "a complaint")
		})
	}}.run(t)
}

func sayBoth(t *testing.T, host *hostProc) {
	t.Helper()
	for do, text := range map[string]string{"say": "a line\n", "complain": "a complaint\n"} {
		if _, err := host.Act("a", do, text, 0); err != nil {
			t.Fatal(err)
		}
	}
}
