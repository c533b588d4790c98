// SPDX-License-Identifier: MPL-2.0

// Package chaos shows what callers of a daemon notice while real plugin processes
// are killed, stopped, replaced and restarted: as good as nothing.
package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/test/chaos/counter"
	"github.com/reattach/reattach/test/kit"
)

// duration is how long the storm lasts: make chaos makes it a minute.
var duration = flag.Duration("for", 10*time.Second, "how long the storm of TestStorm lasts")

// patience is how long a test waits for what ought to take moments.
const patience = 30 * time.Second

// bin is where the binaries are, set once before any test runs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := buildAndRun(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "reattach-chaos")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := kit.Alone(); err != nil {
		return 0, err
	}
	if err := kit.Build(dir, map[string]string{"replica": "./replica", "en": "../../plugin", "zh": "../../pluginzh"}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// buildShared builds a host and the shared object that it loads, which have to be
// built alike.
func buildShared(t *testing.T) {
	t.Helper()
	for name, args := range map[string][]string{"sohost": {"./sohost"}, "counter.so": {"-buildmode=plugin", "./shared"}} {
		path := filepath.Join(bin, name)
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", path}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", path, err, out)
		}
	}
}

// options are those of a daemon that knows the counter.
func options() daemon.Options {
	o := daemon.DefaultOptions()
	o.Handshake = counter.Handshake()
	o.Kinds = []daemon.Kind{daemon.NewKind[counter.Counter](counter.Kind, &counter.Plugin{},
		daemon.WithMethod("Get", stub.CallOptions{Idempotent: true, Repeats: 5}))}
	return o
}

// start runs a daemon until the test ends.
func start(t *testing.T, o daemon.Options) *daemon.Daemon {
	t.Helper()
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

// eventually waits until condition holds, and gives how long that took. It fails
// with what the condition last said.
func eventually(t *testing.T, within time.Duration, condition func() error) time.Duration {
	t.Helper()
	began := time.Now()
	kit.Eventually(t, within, condition)
	return time.Since(began)
}

// pause is part of what happens to the plugins, and waits for nothing.
func pause(d time.Duration) { <-time.After(d) }
