// SPDX-License-Identifier: MPL-2.0

// Package shims starts the programs between a host and a plugin that are measured: basic
// expose and basic attach. It finds them, and the plugins, beside the program that runs.
package shims

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/reattach/reattach/test/bench/internal/link"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

// Cookie is that of all plugins, as the programs take it.
const Cookie = "BENCH_PLUGIN=bench"

// Away is how far the network of some subjects is, in one direction: as far as between two
// nodes of one zone of a cloud, where a round trip takes a half of a millisecond.
const Away = 250 * time.Microsecond

func beside(program string) (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), program), err
}

// Plugin is another program's plugin, an executable with its arguments: a child of the
// original library, if program is "upstream".
func Plugin(program string, args ...string) ([]string, error) {
	path, err := beside(program)
	return append([]string{path, "serve"}, args...), err
}

// Process is a program that was started.
type Process struct {
	// Address is where it serves.
	Address string

	cmd *exec.Cmd
	way *link.Delayed // nil: there is none
}

// Far puts a network before the program, whose length is a delay: from then on Address is the
// near end.
func (p *Process) Far(delay time.Duration) (err error) {
	if p.way, err = link.NewDelayed(p.Address, delay); err != nil {
		return err
	}
	p.Address = p.way.Addr()
	return nil
}

// Close ends the program, and what it has started with it.
func (p *Process) Close() error {
	err := p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
	if p.way != nil {
		err = errors.Join(err, p.way.Close())
	}
	return err
}

// Behind makes a target of one that is reached through the program, which ends with it.
func (p *Process) Behind(t peer.Target, err error) (peer.Target, error) {
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return behind{t, p}, nil
}

type behind struct {
	peer.Target
	process *Process
}

// Close implements peer.Target.
func (b behind) Close() error { return b.process.Close() }

// Expose serves an executable to the network.
func Expose(s *peer.Servers, command []string) (*Process, error) {
	path, err := beside("basic")
	if err != nil {
		return nil, err
	}
	args := []string{"expose", "--listen", "127.0.0.1:0", "--cookie", Cookie, "--print-reattach", "--"}
	cmd := exec.Command(path, append(args, command...)...)
	cmd.Env = append(os.Environ(), s.Env()...)
	return start(s, cmd, func(line string) (string, bool) {
		var said struct{ Addr struct{ String string } }
		err := json.Unmarshal([]byte(line), &said)
		return said.Addr.String, err == nil
	})
}

// Network starts a plugin in network mode.
func Network(s *peer.Servers, command []string) (*Process, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(os.Environ(), s.Env()...), "PLUGIN_HOST=127.0.0.1", Cookie)
	return start(nil, cmd, func(line string) (string, bool) { // it reports itself
		fields := strings.Split(line, "|") // CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERT
		if len(fields) < 5 {
			return "", false
		}
		return fields[3], true
	})
}

// start starts a program that says on its first line where it serves, and has it counted by
// s, which may be nil.
func start(s *peer.Servers, cmd *exec.Cmd, addressOf func(line string) (string, bool)) (*Process, error) {
	said := new(strings.Builder)
	cmd.Stderr = said // read once it has ended
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if s != nil {
		s.Count(cmd.Process.Pid)
	}
	p := &Process{cmd: cmd}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err == nil {
		var ok bool
		if p.Address, ok = addressOf(strings.TrimSpace(line)); !ok {
			err = fmt.Errorf("it said %q", line)
		}
	}
	if err != nil {
		err = errors.Join(err, p.Close())
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until it ends
	return p, nil
}

// Attach is what a host starts as the plugin at an address.
func Attach(address string) (*exec.Cmd, error) {
	path, err := beside("basic")
	return exec.Command(path, "attach", "--cookie", Cookie, address), err
}
