// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
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
	for _, host := range []side{upstream, old, ours} {
		for _, protocol := range []string{"netrpc", "grpc", "multiplexed"} {
			for _, tls := range []string{"", "auto"} {
				if protocol == "multiplexed" && host == old {
					continue // came later
				}
				t.Run(strings.Join([]string{string(host), protocol, tls}, "/"), func(t *testing.T) {
					t.Parallel()
					testAttach(t, host, protocol, tls)
				})
			}
		}
	}
}

func testAttach(t *testing.T, host side, protocol, tls string) {
	spec := hostapi.Client{Name: "a", TLS: tls, Multiplex: protocol == "multiplexed"}
	if spec.Multiplex {
		protocol = "grpc"
	}
	p := startPlugin(t, protocol)
	spec.Path, spec.Versions = link(t, "target: "+p.address), map[int]string{1: protocol}
	h := startHost(t, host)
	walk(h, spec, protocol)
	if p.Pid() != h.pid("a") {
		t.Error("another plugin than the one on the network has answered")
	}
	shim := h.Started("a")
	h.Must("Kill", hostapi.Named{Name: "a"}, none)
	kit.Eventually(t, "the shim ends with its client", func() bool { return gone(shim) })
	if !p.Running() {
		t.Error("the plugin on the network has ended with a host")
	}
}

// TestAttachEndsWithHost has a host that is killed, and so cannot end what it has started.
func TestAttachEndsWithHost(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"netrpc", "grpc"} {
		p := startPlugin(t, protocol)
		h := startHost(t, upstream)
		h.Open(hostapi.Client{Name: "a", Path: link(t, "target: "+p.address), Versions: map[int]string{1: protocol}})
		shim := h.Started("a")
		if err := h.Cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		kit.Eventually(t, "the shim ends with its host", func() bool { return gone(shim) })
		if !p.Running() {
			t.Error("the plugin on the network has ended with a host")
		}
	}
}

// walk takes the steps of a host with a plugin.
func walk(h *hostProc, spec hostapi.Client, protocol string) {
	t, a := h.T, hostapi.Named{Name: spec.Name}
	h.Open(spec)
	h.Must("Ping", a, none)
	h.Must("Put", hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}, none)
	var got hostapi.Entry
	h.Must("Get", hostapi.Entry{Name: "a", Key: "colour"}, &got)
	if string(got.Value) != "blue" {
		t.Errorf("got %q", got.Value)
	}
	said := []string{`no value for key "none"`}
	if protocol == "grpc" {
		said = append(said, "code = NotFound", "detail: key none")
	}
	err := h.Do("Get", hostapi.Entry{Name: "a", Key: "none"}, &got)
	for _, part := range said {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the plugin's error came as %v, without %q", err, part)
		}
	}
	counted(t, "errors", 1)
	counts := func(command string, n, want int64) {
		t.Helper()
		var out hostapi.Outcome
		h.Must(command, hostapi.Count{Name: "a", Count: n}, &out)
		if out.N != want {
			t.Errorf("%s(%d): got %d, want %d", command, n, out.N, want)
		}
	}
	h.Must("Blob", hostapi.Blob{Name: "a", Size: 64<<20 - 1024}, &hostapi.Outcome{})
	counted(t, "messages_of_64_MiB", 1)
	if protocol == "grpc" {
		counts("List", 1000, 1000)
		counts("Echo", 100, 100)
		counted(t, "streams", 3) // Echo makes two
	}
	const callbacks = 3
	for range callbacks {
		counts("UseCallback", 4, 0+1+2+3+4)
	}
	counted(t, "callbacks", callbacks)
	if protocol == "netrpc" || spec.Multiplex {
		counts("OpenCallback", 4, 5)
		counted(t, "callbacks", 1)
	}
	for stream, do := range map[string]string{"stdout": "say", "stderr": "complain"} {
		if _, err := h.Act("a", do, "said on "+stream+"\n", 0); err != nil {
			t.Error(err)
		}
	}
	kit.Eventually(t, "the plugin's output comes", func() bool {
		var out hostapi.Output
		h.Must("Output", a, &out)
		return out.Stdout == "said on stdout\n" && strings.HasSuffix(out.Stderr, "said on stderr\n")
	})
	counted(t, "outputs", 2)
}
