// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"errors"
	"io"
	"os"
	"sync"
)

// output is the host's end of a pipe that a child writes to. It knows when
// there is nothing left to read, so that Wait does not cut off the last lines,
// which are the interesting ones of a plugin that crashed.
type output struct {
	pipe  *os.File
	once  sync.Once
	ended chan struct{} // closed once a read failed (the end is a failure too) or on Close
}

func newOutput() (host *output, child *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &output{pipe: r, ended: make(chan struct{})}, w, nil
}

func (o *output) Read(p []byte) (int, error) {
	n, err := o.pipe.Read(p)
	if err != nil {
		o.once.Do(func() { close(o.ended) })
	}
	return n, err
}

// Close may be called more than once; only the first call can fail.
func (o *output) Close() error {
	o.once.Do(func() { close(o.ended) })
	if err := o.pipe.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Stdout is the child's standard output.
func (r *Runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr is the child's standard error.
func (r *Runner) Stderr() io.ReadCloser { return r.stderr }
