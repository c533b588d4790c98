// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/kit"
)

const (
	manyPlugins   = 20
	manyEndpoints = 200
)

// serveAt starts one process that serves at each address.
func serveAt(t *testing.T, addresses []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "replica"))
	cmd.Env = []string{"REPLICA_LOG=" + os.DevNull, "REPLICA_ADDRESSES=" + strings.Join(addresses, ",")}
	launch(t, cmd)
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// ready checks that exactly the endpoints at some addresses are READY.
func ready(d *daemon.Daemon, want map[string]bool) error {
	plugins := d.Plugins()
	if len(plugins) != manyPlugins {
		return fmt.Errorf("%d plugins are known, want %d", len(plugins), manyPlugins)
	}
	seen := 0
	for _, p := range plugins {
		for _, e := range p.Endpoints {
			seen++
			if is := e.State == conn.Ready; is != want[e.Address] {
				return fmt.Errorf("%s is %s: %s", e.ID, e.State, e.LastError)
			}
		}
	}
	if seen != manyEndpoints {
		return fmt.Errorf("%d endpoints are known, want %d", seen, manyEndpoints)
	}
	return nil
}

// held is what the process holds: heap in bytes, and goroutines.
func held() (uint64, int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
}

// TestManyEndpoints attaches to 200 endpoints, and kills the half of them.
func TestManyEndpoints(t *testing.T) {
	all := kit.Addresses(t, manyEndpoints)
	half, rest := all[:manyEndpoints/2], all[manyEndpoints/2:]
	first := serveAt(t, half)
	serveAt(t, rest)
	var list []string
	everywhere, somewhere := make(map[string]bool), make(map[string]bool)
	for i, a := range all {
		list = append(list, fmt.Sprintf("p%d=%s", i%manyPlugins, a))
		everywhere[a] = true
	}
	for _, a := range rest {
		somewhere[a] = true
	}
	o := options()
	o.NetworkPlugins = strings.Join(list, ",")
	heap, goroutines := held()
	d := start(t, o)
	up := eventually(t, patience, func() error { return ready(d, everywhere) })
	heapNow, goroutinesNow := held()

	// What a quiet machine does within 1 s and 5 s is printed, not asserted: a
	// busy one may be late without being wrong.
	kill(first)
	down := eventually(t, patience, func() error { return ready(d, somewhere) })
	serveAt(t, half)
	back := eventually(t, patience, func() error { return ready(d, everywhere) })
	t.Logf("%d endpoints of %d plugins: all READY after %v; %d killed: shown after %v; all READY %v after their return; %d KiB and %.1f goroutines each",
		manyEndpoints, manyPlugins, up.Round(time.Millisecond), len(half), down.Round(time.Millisecond), back.Round(time.Millisecond),
		int64(heapNow-heap)/manyEndpoints/1024, float64(goroutinesNow-goroutines)/manyEndpoints)
}
