// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// socketPlugin starts the Chinese plugin on a unix socket and waits until it listens.
func socketPlugin(t *testing.T, path string, env ...string) *networkPlugin {
	t.Helper()
	p := startPlugin(t, filepath.Join(bin, "greeter-zh.po"), append([]string{"PLUGIN_HOST=unix://" + path}, env...)...)
	if want := "|unix|" + path + "|"; !strings.Contains(p.line, want) {
		t.Fatalf("the plugin said %q, want %q in it", p.line, want)
	}
	return p
}

// TestUnixSocket is a plugin beside its hosts, on a socket: hosts come and go, find it by
// its path or in a directory, and a plugin that was killed leaves nothing in the way of
// the next.
func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "greeter.sock")
	p := socketPlugin(t, path)
	for name, env := range map[string][]string{
		"net/rpc":         {"NETWORK_PLUGIN=unix://" + path, "CONTRACT_VERSIONS=1"},
		"gRPC":            {"NETWORK_PLUGIN=unix://" + path, "CONTRACT_VERSIONS=2"},
		"another name":    {"NETWORK_PLUGIN=zh=unix://" + path},
		"found by itself": {"NETWORK_PLUGIN_DIR=" + dir},
	} {
		got := basic(t, append(env, "PLUGIN_DIR=", "GREET_NAME=Ada")...)
		if got.Code != 0 || !strings.Contains(got.Stdout, "您好 Ada") || !strings.Contains(got.Stdout, "pong!") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := command(t, []string{"probe", "unix://" + path}); got.Code != 0 || !strings.Contains(got.Stdout, "ok    connect  connected to "+path) {
		t.Errorf("probe: %+v", got)
	}

	second, err := run(exec.CommandContext(t.Context(), filepath.Join(bin, "greeter-zh.po")), "BASIC_PLUGIN=hello", "PLUGIN_HOST=unix://"+path)
	if err != nil || second.Code != 1 || !strings.Contains(second.Stderr, "another process serves on "+path) {
		t.Errorf("a second plugin on the socket: %+v, %v", second, err)
	}
	p.end(t, syscall.SIGKILL)
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the killed plugin's socket: %v, so the test shows nothing", err)
	}
	if got := command(t, []string{"probe", "unix://" + path}); got.Code != 3 || !strings.Contains(got.Stdout, "was killed") {
		t.Errorf("probe of a socket that nobody serves on: %+v", got)
	}
	p = socketPlugin(t, path, "PLUGIN_UNIX_SOCKET_MODE=0660")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode: %v, %v", info.Mode(), err)
	}
	if code, _ := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("code %d after SIGTERM", code)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestServeFollowsSocket has a daemon whose plugin is replaced on its socket.
func TestServeFollowsSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "greeter.sock")
	host := &life{served: serveHost(t, "PLUGIN_DIR=", "NETWORK_PLUGIN_DIR="+dir)}
	for range 2 {
		p := socketPlugin(t, path)
		eventually(t, func() error { return host.call("greeter", "Ada") })
		p.end(t, syscall.SIGTERM)
	}
}
