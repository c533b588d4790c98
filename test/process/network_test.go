// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMainJob is what `make run` shows.
func TestMainJob(t *testing.T) {
	cases := map[string]struct {
		reason   string
		versions string
		how      string
	}{
		"both versions": {
			reason:   "the highest version that both have is spoken",
			versions: "1,2", how: "gRPC v2",
		},
		"net/rpc only": {
			reason:   "the plugin's one binary serves a host that knows only version 1",
			versions: "1", how: "net/rpc v1",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := startNetworkPlugin(t, "greeter-zh.po")
			got := basic(t, "CONTRACT_VERSIONS="+tc.versions, "GREET_NAME=Ada",
				"PLUGIN_DIR="+bin, "NETWORK_PLUGIN="+p.address())
			want := fmt.Sprintf(`%[2]s  network  %[1]s
  greet: 您好 Ada
  hi: 大家好！=2=
  ping: pong!
greeter-en  child  %[1]s
  greet: Hello Ada
  hi: Hi there! =2=
  pingponger: not served
greeter-zh  child  %[1]s
  greet: 您好 Ada
  hi: 大家好！=2=
  ping: pong!
`, tc.how, p.address())
			if diff := cmp.Diff(want, got.Stdout); diff != "" || got.Code != 0 {
				t.Errorf("%s: code %d, (-want +got)\n%s\nstderr: %s", tc.reason, got.Code, diff, got.Stderr)
			}
			again := basic(t, "PLUGIN_DIR=", "NETWORK_PLUGIN="+p.address())
			if again.Code != 0 || !strings.Contains(again.Stdout, "您好 someone") {
				t.Errorf("the network plugin did not survive its first host: %+v", again)
			}
		})
	}
}

// TestManyHosts runs hosts in a row and at once against one plugin process, which
// must end up holding no more than after the first few.
func TestManyHosts(t *testing.T) {
	for _, versions := range []string{"1", "2"} {
		t.Run("version "+versions, func(t *testing.T) {
			p := startNetworkPlugin(t, "greeter-zh.po")
			env := []string{"CONTRACT_VERSIONS=" + versions, "PLUGIN_DIR=", "NETWORK_PLUGIN=" + p.address()}
			// The first hosts at once make the runtime start its threads.
			if err := atOnce(t.Context(), 20, env); err != nil {
				t.Fatal(err)
			}
			before := p.usage(t)
			for range 100 {
				if got := basic(t, env...); got.Code != 0 {
					t.Fatalf("a host failed: %+v", got)
				}
			}
			if err := atOnce(t.Context(), 20, env); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				// A runtime may start a thread or two more for reasons of its own.
				if now := p.usage(t); now.fds > before.fds || now.threads > before.threads+4 {
					return fmt.Errorf("the plugin holds %v; before 120 hosts it held %v", now, before)
				}
				return nil
			})
			if err := p.cmd.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("the plugin's process is gone: %v", err)
			}
		})
	}
}

// atOnce runs n hosts at the same time.
func atOnce(ctx context.Context, n int, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	failed := make([]error, n)
	var hosts sync.WaitGroup
	for i := range n {
		hosts.Go(func() {
			got, err := run(exec.CommandContext(ctx, filepath.Join(bin, "basic")), env...)
			if err == nil && got.Code != 0 {
				err = fmt.Errorf("a host failed: %+v", got)
			}
			failed[i] = err
		})
	}
	hosts.Wait()
	return errors.Join(failed...)
}

func TestSignalsEndAnIdlePlugin(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := startNetworkPlugin(t, "greeter-zh.po", "PLUGIN_DRAIN_TIMEOUT=1h") // which it does not wait for
			if got := basic(t, "PLUGIN_DIR=", "NETWORK_PLUGIN="+p.address()); got.Code != 0 {
				t.Fatalf("the host failed: %+v", got)
			}
			stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
			defer stuck.Stop()
			if code, took := p.end(t, sig); code != 0 {
				t.Errorf("got exit code %d after %v, want 0\n%s", code, took, &p.logs)
			}
		})
	}
}

// TestListensWhereItIsTold looks at the ports that the plugin's own line names.
func TestListensWhereItIsTold(t *testing.T) {
	first := startNetworkPlugin(t, "greeter-en.po")
	if !strings.Contains(first.line, "|tcp|0.0.0.0:") {
		t.Errorf("the plugin said %q, want all addresses", first.line)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "greeter-en.po"))
	got, err := run(cmd, "BASIC_PLUGIN=hello", "PLUGIN_HOST=true",
		"PLUGIN_MIN_PORT="+first.port, "PLUGIN_MAX_PORT="+first.port)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code == 0 || !strings.Contains(got.Stderr, first.port) {
		t.Errorf("a plugin whose only port is taken gave %+v, want a failure that names the port", got)
	}
}
