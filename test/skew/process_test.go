// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a peer.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	log   string // the file that has its stderr
	ended bool
}

// launch starts a program of a side, with nothing of this environment.
func launch(t *testing.T, s side, program string, env ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(bin, string(s), program))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + bin}, env...)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out), log: log.Name()}
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s of %s said:\n%.6000s", program, s, tail(p.log, 6000))
		}
	})
	return p
}

func tail(file string, n int) string {
	raw, _ := os.ReadFile(file) // nothing is nothing to show
	return string(raw[max(0, len(raw)-n):])
}

// line gives the next line of its output.
func (p *process) line() string {
	p.t.Helper()
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if !p.out.Scan() {
		p.t.Fatalf("%s has ended, or said nothing for %v", p.cmd.Path, patience)
	}
	return p.out.Text()
}

// tell gives a host a command, and reads its answer.
func (p *process) tell(command string, answer any) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		p.t.Fatal(err)
	}
	p.answer(answer)
}

func (p *process) answer(answer any) {
	p.t.Helper()
	line := p.line()
	if err := json.Unmarshal([]byte(line), answer); err != nil {
		p.t.Fatalf("%s said %.200q: %v", p.cmd.Path, line, err)
	}
}

// terminate tells it to end.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// end tells it to end, and waits until it has. It may be called again.
func (p *process) end() {
	if p.ended {
		return
	}
	p.ended = true
	p.terminate()
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	for p.out.Scan() { // until its stdout is closed
	}
	_ = p.cmd.Wait()
}

// place is an address of this machine that no other process of it takes: rolling a plugin
// lets go of it and listens on it again.
type place struct{ ip string }

const placePort = "7000"

var places atomic.Int32

// newPlace gives one. All of 127.0.0.0/8 is loopback on Linux.
func newPlace() place {
	n := int(places.Add(1))
	pid := os.Getpid()
	return place{fmt.Sprintf("127.%d.%d.%d", 64+pid>>8&63, pid&255, n)}
}

func (p place) String() string { return p.ip + ":" + placePort }

// network starts a plugin that listens at a place.
func network(t *testing.T, s side, protocol string, at place) *process {
	t.Helper()
	p := launch(t, s, "plugin", "SKEW_PLUGIN=desk", "SKEW_PROTOCOL="+protocol, "PLUGIN_NAME=desk",
		"PLUGIN_HOST="+at.ip, "PLUGIN_MIN_PORT="+placePort, "PLUGIN_MAX_PORT="+placePort)
	if line := p.line(); !strings.Contains(line, at.String()) {
		t.Fatalf("the plugin said %q, want the address %s", line, at)
	}
	return p
}

// child puts a plugin's executable into a directory, whole at once.
func child(t *testing.T, s side, dir string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(bin, string(s), "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, ".desk")
	if err := os.WriteFile(half, raw, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, filepath.Join(dir, "desk.po")); err != nil {
		t.Fatal(err)
	}
}

// host starts a host that knows plugins at places, or a directory of children.
func host(t *testing.T, s side, protocol, dir string, at ...place) *process {
	t.Helper()
	list := make([]string, 0, len(at))
	for _, p := range at {
		list = append(list, "desk="+p.String())
	}
	h := launch(t, s, "host", "SKEW_PROTOCOL="+protocol, "SKEW_NETWORK="+strings.Join(list, ","), "SKEW_DIR="+dir)
	var ready string
	h.answer(&ready)
	return h
}
