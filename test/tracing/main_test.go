// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

const patience = time.Minute

var bin string // where the programs are

func TestMain(m *testing.M) { os.Exit(kit.Run(m, &bin, nil)) }

// program starts one of bin, without what the test's own environment says of traces.
func program(t *testing.T, name string, env []string, args ...string) *kit.Process {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return kit.Start(t, cmd)
}

// replica starts the English greeter at an address.
func replica(t *testing.T, address string, env ...string) *kit.Process {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	p := program(t, "greeter-en.po", append([]string{
		"BASIC_PLUGIN=hello", "PLUGIN_HOST=" + host, "PLUGIN_MIN_PORT=" + port, "PLUGIN_MAX_PORT=" + port, "PLUGIN_NAME=greeter",
	}, env...))
	if !p.Stdout.Scan() {
		t.Fatalf("greeter at %s does not listen", address)
	}
	return p
}
