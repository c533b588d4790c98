// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// conform runs the cases of basic conform, of which ok concern the plugin.
func conform(t *testing.T, address string, ok int) {
	t.Helper()
	cmd := exec.Command(programs(t).basic(), "conform", "--cookie", cookie, "--versions", "1", address)
	cmd.Env = programs(t).env()
	said, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("%d ok, 0 failed", ok); err != nil || !strings.Contains(string(said), want) {
		t.Errorf("conform %s: %v, want %s:\n%s", address, err, want, said)
	}
	counted(t, "cases", int64(ok))
}

// TestConform has the cases run against plugins of the original library: as they are
// exposed, and as the gRPC servers that they are, without the handshake.
func TestConform(t *testing.T) {
	for _, s := range []side{upstream, old} {
		t.Run(string(s), func(t *testing.T) {
			conform(t, startExpose(t, s, "grpc").address, 24)
			conform(t, startExpose(t, s, "netrpc").address, 21)
			conform(t, startPlain(t, s), 9)
		})
	}
}

// startPlain starts a gRPC plugin of the original library, and gives the socket on which
// it waits for a host.
func startPlain(t *testing.T, s side) (address string) {
	t.Helper()
	config := hostapi.Plugin{Versions: map[int]string{1: "grpc"}}
	return "unix://" + startPod(t, exec.Command(programs(t).plugin(s)), cookie, config.Env()).address
}

// TestAttachPlain has hosts of the original library attach to a gRPC server that knows no
// handshake on the wire, and cannot say its version.
func TestAttachPlain(t *testing.T) {
	address := startPlain(t, upstream)
	h := startHost(t, upstream)
	for name, versions := range map[string]map[int]string{"one": {1: "grpc"}, "two": {1: "grpc", 2: "grpc"}} {
		h.Open(hostapi.Client{Name: name, Versions: versions, Path: link(t, "target: "+address, "versions: [1]")})
		h.Must("Put", hostapi.Entry{Name: name, Key: "colour", Value: []byte("blue")}, none)
		h.Must("Kill", hostapi.Named{Name: name}, none)
	}
}
