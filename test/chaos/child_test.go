// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/chaos/counter"
)

// install puts a binary into a directory under another name, whole at once.
func install(t *testing.T, from, dir, name string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(bin, from))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "."+name)
	if err := os.WriteFile(half, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// childPid gives the process of a plugin's one endpoint, unless it is the last one's.
func childPid(d *daemon.Daemon, plugin string, last int) (int, error) {
	p, _ := d.Plugin(plugin)
	if !p.Ready || len(p.Endpoints) != 1 {
		return 0, fmt.Errorf("it is not ready: %+v", p)
	}
	text, ok := strings.CutPrefix(p.Endpoints[0].Instance, "pid ")
	if !ok {
		return 0, fmt.Errorf("instance %q is no process", p.Endpoints[0].Instance)
	}
	pid, err := strconv.Atoi(text)
	if err == nil && pid == last {
		err = errors.New("it has not been started again")
	}
	return pid, err
}

// TestChildIsKilled kills a child process under load. It comes back by itself, and no
// more than the calls in flight fail.
func TestChildIsKilled(t *testing.T) {
	const kills = 3
	log, dir := logPath(t), t.TempDir()
	install(t, "replica", dir, "counter.po")
	o := options()
	o.PluginDir = dir
	o.ChildEnv = []string{"REPLICA_NAME=child", "REPLICA_LOG=" + log}
	d := start(t, o)
	c, err := daemon.Dispense[counter.Counter](t.Context(), d, "counter", counter.Kind)
	if err != nil {
		t.Fatal(err)
	}
	load := startLoad(c)
	pid, slowest := 0, time.Duration(0)
	for n := range kills + 1 {
		took := eventually(t, patience, func() (err error) {
			var now int
			if now, err = childPid(d, "counter", pid); err == nil {
				pid = now
			}
			return err
		})
		if n > 0 {
			slowest = max(slowest, took)
		}
		ready := time.Now()
		eventually(t, patience, func() error {
			if load.since(ready)["child"] < callers {
				return errors.New("the child that was started again answers no calls")
			}
			return nil
		})
		if n < kills {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := judge(load.finish(), executed(t, log))
	v.report(t, fmt.Sprintf("a child was killed %d times under %d callers; it was back after %v at most", kills, callers, slowest.Round(time.Millisecond)))
	if v.onceFailed > kills*callers {
		t.Errorf("%d calls failed, want no more than were in flight: %d", v.onceFailed, kills*callers)
	}
}

// TestReplaceUnderLoad puts a new build in the place of an executable while it is
// called. Its methods are not declared idempotent, and still no call fails.
func TestReplaceUnderLoad(t *testing.T) {
	dir := t.TempDir()
	install(t, "zh", dir, "greeter-zh.po")
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions = commons.Handshake(), commons.Versions
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
		daemon.WithSwitch(commons.SwitchGreeter))}
	o.PluginDir = dir
	d := start(t, o)
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter-zh", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	var older, newer, failed atomic.Int64
	var stop atomic.Bool
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			for !stop.Load() {
				switch greeting, err := g.Greet("Ada"); {
				case err != nil:
					failed.Add(1)
					t.Errorf("a call failed while the executable was replaced: %v", err)
					return
				case greeting == "Hello Ada":
					newer.Add(1)
				default:
					older.Add(1)
				}
			}
		})
	}
	eventually(t, patience, func() error {
		if older.Load() < 10*callers {
			return errors.New("the old build does not answer")
		}
		return nil
	})
	install(t, "en", dir, "greeter-zh.po") // the new build greets in English
	eventually(t, patience, func() error {
		if newer.Load() < 10*callers {
			return errors.New("the new build does not answer")
		}
		return nil
	})
	// Once the old process is gone, there are new answers only.
	eventually(t, patience, func() error {
		p, _ := d.Plugin("greeter-zh")
		if len(p.Endpoints) != 1 || p.Endpoints[0].Replacement != "" {
			return fmt.Errorf("the old build has not left: %+v", p.Endpoints)
		}
		return nil
	})
	before := older.Load()
	stop.Store(true)
	done.Wait()
	t.Logf("%d calls by %d callers while the executable was replaced: %d old answers, %d new ones, %d failed",
		older.Load()+newer.Load(), callers, before, newer.Load(), failed.Load())
	if greeting, err := g.Greet("Ada"); greeting != "Hello Ada" || err != nil {
		t.Errorf("after it: %q, %v", greeting, err)
	}
}
