// SPDX-License-Identifier: MPL-2.0

package pricing_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build builds the plugin and the daemon as a user does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range map[string]string{"daemon": "./daemon", "plugins/prices.po": "./plugin"} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), from).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", from, err, out)
		}
	}
	return dir
}

// start starts a program, and gives the lines that it prints. It is ended with the
// test, and must then end well.
func start(t *testing.T, path []string, env ...string) <-chan string {
	t.Helper()
	cmd := exec.Command(path[0], path[1:]...)
	cmd.Env, cmd.Stderr = append([]string{"TMPDIR=" + os.TempDir()}, env...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range lines {
			continue // Wait must follow the last read
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
	return lines
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(30 * time.Second):
		t.Fatal("it printed nothing for half a minute")
		return ""
	}
}

// TestDaemon runs the daemon with the same plugin in two places.
func TestDaemon(t *testing.T) {
	dir := build(t)
	prices := filepath.Join(dir, "plugins", "prices.po")
	said := next(t, start(t, []string{prices}, "PRICING_PLUGIN=prices", "PLUGIN_HOST=127.0.0.1"))
	fields := strings.Split(said, "|")
	if len(fields) < 4 {
		t.Fatalf("the plugin said %q", said)
	}
	_, port, err := net.SplitHostPort(fields[3])
	if err != nil {
		t.Fatal(err)
	}
	lines := start(t, []string{filepath.Join(dir, "daemon"), "serve"}, "PRICING_LISTEN=127.0.0.1:0", "PLUGIN_DIR="+filepath.Dir(prices), "NETWORK_PLUGIN=shop=127.0.0.1:"+port)
	got := map[string]bool{next(t, lines): true, next(t, lines): true}
	for _, want := range []string{"prices  three teas: {1350 EUR}", "shop  three teas: {1350 EUR}"} {
		if !got[want] {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}

// TestLinksNoKubernetes holds that a daemon which does not look for plugins in
// Kubernetes does not carry its client.
func TestLinksNoKubernetes(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./daemon").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for line := range strings.Lines(string(out)) {
		seen = seen || strings.Contains(line, "host/daemon")
		if strings.Contains(line, "k8s.io") {
			t.Errorf("it links %s", strings.TrimSpace(line))
		}
	}
	if !seen {
		t.Errorf("host/daemon is not among the packages:\n%s", out)
	}
}
