// SPDX-License-Identifier: MPL-2.0

package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/reattach/reattach/test/bench/internal/wire"
)

// patience is how long a program may take for one request, and to end.
const patience = 2 * time.Minute

// errBroken is that a program does not answer any more.
var errBroken = errors.New("no answer")

// driver is a program that is driven.
type driver struct {
	name     string
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	requests *json.Encoder
	replies  *json.Decoder
	ended    chan error
}

func startDriver(dir, name string, env []string) (*driver, error) {
	d := &driver{name: name, cmd: exec.Command(filepath.Join(dir, name), "drive"), ended: make(chan error, 1)}
	d.cmd.Env, d.cmd.Stderr = env, os.Stderr
	// An interrupt from the keyboard is for this process, which ends the others.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if d.stdin, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	d.cmd.Stdout = in
	err = d.cmd.Start()
	_ = in.Close() // the program has its own
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	go func() {
		d.ended <- d.cmd.Wait()
		_ = out.Close()
	}()
	d.requests, d.replies = json.NewEncoder(d.stdin), json.NewDecoder(out)
	return d, nil
}

// do asks for one operation, and waits for the reply.
func (d *driver) do(r wire.Request) (wire.Reply, error) {
	watchdog := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer watchdog.Stop()
	var reply wire.Reply
	err := d.requests.Encode(r)
	if err == nil {
		err = d.replies.Decode(&reply)
	}
	switch {
	case err != nil:
		return reply, fmt.Errorf("%s: %s %s: %w: %w", d.name, r.Op, r.Subject, errBroken, err)
	case reply.Error != "":
		return reply, fmt.Errorf("%s: %s %s: %s", d.name, r.Op, r.Subject, reply.Error)
	}
	return reply, nil
}

// close has the program end what is open, and end.
func (d *driver) close() error {
	watchdog := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer watchdog.Stop()
	_ = d.stdin.Close() // has the program end
	if err := <-d.ended; err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}
