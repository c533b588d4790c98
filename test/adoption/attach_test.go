// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// link gives the path of a link to the program under a plugin's name, with a target file.
func link(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	if err := os.Symlink(programs(t).basic(), path); err != nil {
		t.Fatal(err)
	}
	text := "cookie: " + cookie + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path+".target", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gone reports whether a process has ended.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// TestAttach has hosts of the original library start a link to the program as their
// plugin, which is one of ours on the network.
func TestAttach(t *testing.T) {
	for _, host := range []side{upstream, old} {
		for _, protocol := range []string{"grpc"} {
			for _, tls := range []string{"", "auto"} {
				t.Run(strings.Join([]string{string(host), protocol, tls}, "/"), func(t *testing.T) {
					t.Parallel()
					p := startPlugin(t, protocol)
					h := startHost(t, host)
					spec := hostapi.Client{Name: "a", Path: link(t, "target: "+p.address), TLS: tls, Versions: map[int]string{1: protocol}}
					walk(h, spec, protocol)
					if p.pid() != h.pid("a") {
						t.Error("another plugin than the one on the network has answered")
					}
					shim := h.shim("a")
					h.must("Kill", hostapi.Named{Name: "a"}, none)
					eventually(t, "the shim ends with its client", func() bool { return gone(shim) })
					if !p.running() {
						t.Error("the plugin on the network has ended with a host")
					}
				})
			}
		}
	}
}

// walk takes the steps of a host with a plugin.
func walk(h *hostProc, spec hostapi.Client, protocol string) {
	t, a := h.t, hostapi.Named{Name: spec.Name}
	h.open(spec)
	h.must("Ping", a, none)
	h.must("Put", hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}, none)
	var got hostapi.Entry
	h.must("Get", hostapi.Entry{Name: "a", Key: "colour"}, &got)
	if string(got.Value) != "blue" {
		t.Errorf("got %q", got.Value)
	}
	if err := h.do("Get", hostapi.Entry{Name: "a", Key: "none"}, &got); err == nil || !strings.Contains(err.Error(), `no value for key "none"`) {
		t.Errorf("the plugin's error came as %v", err)
	}
	var out hostapi.Outcome
	h.must("Blob", hostapi.Blob{Name: "a", Size: 64<<20 - 1024}, &out)
	if protocol == "grpc" {
		h.must("List", hostapi.Count{Name: "a", Count: 1000}, &out)
		if out.N != 1000 {
			t.Errorf("%d of 1000 entries came", out.N)
		}
		h.must("Echo", hostapi.Count{Name: "a", Count: 100}, &out)
		if out.N != 100 {
			t.Errorf("%d of 100 entries came back", out.N)
		}
	}
}
