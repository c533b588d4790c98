// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

const patience = 2 * time.Minute

var bin string // where the programs are

func TestMain(m *testing.M) { os.Exit(kit.Run(m, &bin, map[string]string{"fickle.po": "./fickle"})) }

// program starts one of bin.
func program(t *testing.T, name string, env []string, args ...string) *kit.Process {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	return kit.Start(t, cmd)
}

// replica starts a plugin at an address.
func replica(t *testing.T, address string, env ...string) *kit.Process {
	t.Helper()
	return serve(t, "greeter-zh.po", address, env...)
}

// fickle starts the plugin that fails as it is asked to.
func fickle(t *testing.T, address string, env ...string) *kit.Process {
	t.Helper()
	return serve(t, "fickle.po", address, env...)
}

func serve(t *testing.T, executable, address string, env ...string) *kit.Process {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	p := program(t, executable, append(env,
		"BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1", "PLUGIN_MIN_PORT="+port, "PLUGIN_MAX_PORT="+port, "PLUGIN_NAME=zh"))
	if !p.Stdout.Scan() {
		t.Fatalf("no plugin listens at %s", address)
	}
	return p
}

// daemon is a host that runs.
type daemon struct {
	*kit.Process
	url string
}

// host starts a daemon.
func host(t *testing.T, env ...string) *daemon {
	t.Helper()
	address := kit.Addresses(t, 1)[0]
	p := program(t, "basic", append([]string{"PLUGIN_DIR=", "BASIC_LISTEN=" + address, "ATTACH_TIMEOUT=2s", "LOG_LEVEL=error"}, env...), "serve")
	d := &daemon{p, "http://" + address + "/"}
	until(t, "the host serves", func() error {
		_, err := fetch(t.Context(), d.url+"metrics")
		return err
	})
	return d
}

func until(t *testing.T, what string, look func() error) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		if err := look(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// attached tells whether as many endpoints take calls.
func attached(t *testing.T, url string, want int) error {
	t.Helper()
	if got := gauge(t, url, "reattach_endpoints", "READY"); got != float64(want) {
		return fmt.Errorf("%v endpoints are READY, want %d", got, want)
	}
	return nil
}

// greet makes one call, whatever comes of it.
func greet(t *testing.T, url string) {
	t.Helper()
	ask(t, url, "Ada")
}

// ask makes one call with a name that a fickle plugin knows.
func ask(t *testing.T, url, name string) {
	t.Helper()
	answer, err := http.Post(url+"api/v1/plugins/zh/kinds/greeter/methods/Greet", "application/json", strings.NewReader(`["`+name+`"]`))
	if err != nil {
		t.Error(err) // It may not be the test's goroutine.
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

// leave makes one call for which there is no endpoint, and gives it up once it waits.
func leave(t *testing.T, url string) {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"api/v1/plugins/zh/kinds/greeter/methods/Greet", strings.NewReader(`["Ada"]`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	left := make(chan struct{})
	go func() {
		defer close(left)
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
			t.Errorf("it answers %s", answer.Status)
		}
	}()
	until(t, "the call waits", func() error {
		if gauge(t, url, "reattach_calls_waiting", "") != 1 {
			return errors.New("it does not")
		}
		return nil
	})
	giveUp()
	<-left
}
