// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestExposeSocket has unmodified plugins served on a unix socket, as a sidecar does, to
// hosts of both libraries. An earlier one was killed, and has left its socket.
func TestExposeSocket(t *testing.T) {
	for _, host := range []side{upstream, ours} {
		for _, protocol := range []string{"netrpc", "grpc"} {
			t.Run(strings.Join([]string{string(host), protocol}, "/"), func(t *testing.T) {
				t.Parallel()
				testExposeSocket(t, host, protocol)
			})
		}
	}
}

func testExposeSocket(t *testing.T, host side, protocol string) {
	dir, err := os.MkdirTemp("", "s") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "store.sock")
	leaveStale(t, socket)
	config := hostapi.Plugin{Versions: map[int]string{1: protocol}, MaxMessage: 64 << 20}
	flags := []string{"--listen", "unix://" + socket, "--print-reattach"}
	e := startExposed(t, []string{programs(t).plugin(upstream)}, flags, config.Env(), "PLUGIN_UNIX_SOCKET_MODE=0600")
	if e.reattach.Network != "unix" || e.reattach.Address != socket {
		t.Errorf("the JSON says %s %s", e.reattach.Network, e.reattach.Address)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode: %v, %v", info, err)
	}
	h := startHost(t, host)
	walk(h, e.client("a", host), protocol)
	h.Must("Kill", hostapi.Named{Name: "a"}, none)
	if !e.Running() {
		t.Fatal("expose has ended with its host")
	}
	e.End(syscall.SIGTERM)
	kit.Eventually(t, "the socket is removed", func() bool {
		_, err := os.Stat(socket)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// leaveStale leaves a socket on which nobody listens.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	lis.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
}
