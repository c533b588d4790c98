// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// ChildOptions say how to start plugins as child processes.
type ChildOptions struct {
	Contract Contract

	// Env is added to the child's environment, which is this process's without
	// what would make the child listen on the network. Entries are "NAME=value".
	Env []string
	// StartTimeout is how long a child may take to say that it serves: 1 min if
	// zero.
	StartTimeout time.Duration
	// StopTimeout is how long a child may take to end once it was asked to; then
	// it is killed: 3 s if zero. go-plugin itself waits no longer than 2 s for
	// a child that has agreed to end.
	StopTimeout time.Duration
	// MaxMessageBytes bounds one message in either direction: 64 MiB if zero, none if
	// negative.
	MaxMessageBytes int
	// AutoMTLS makes host and child authenticate each other with certificates
	// made for this one run.
	AutoMTLS bool

	// Output gives the writers of what a plugin writes to its stdout and
	// stderr. Nil sends it to the logger, a line each.
	Output func(e target.Endpoint) (stdout, stderr io.Writer)
	// Logger is used by the sessions, and receives the log lines of the
	// children, under the plugin's name. Nil is silent.
	Logger hclog.Logger
}

const (
	defaultStartTimeout = time.Minute
	defaultStopTimeout  = 3 * time.Second
)

type childDialer struct{ opts ChildOptions }

// Child returns a dialer of target.Child endpoints. Each session is a process
// of its own, which ends with the session.
//
// If the endpoint's fingerprint is the checksum of a file ("sha256:…"), only
// that very file is started. Another checksum, a file of another format and a
// program that is no plugin are permanent errors. A child that crashes is not:
// the error says how it ended and what it wrote last.
func Child(opts ChildOptions) (conn.Dialer, error) {
	if err := opts.Contract.Validate(); err != nil {
		return nil, fmt.Errorf("child dialer: %w", err)
	}
	opts.StartTimeout = cmp.Or(opts.StartTimeout, defaultStartTimeout)
	opts.StopTimeout = cmp.Or(opts.StopTimeout, defaultStopTimeout)
	opts.Logger = cmp.Or(opts.Logger, hclog.NewNullLogger())
	return &childDialer{opts: opts}, nil
}

// Dial implements conn.Dialer.
func (d *childDialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	session, err := d.start(ctx, e)
	if err == nil {
		return session, nil
	}
	err = fmt.Errorf("start %s: %w", e.Address, err)
	if Lasts(err) {
		return nil, conn.Permanent(err)
	}
	return nil, err
}

func (d *childDialer) start(ctx context.Context, e target.Endpoint) (*childSession, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := Executable(e.Address); err != nil {
		return nil, err
	}
	secure, err := secureConfig(e.Fingerprint)
	if err != nil {
		return nil, err
	}
	child := newChild(d.opts, e, secure)
	protocol, err := child.open(ctx)
	if err != nil {
		child.stop()
		return nil, child.reason(err)
	}
	return newChildSession(child, protocol), nil
}

// checksumPrefix marks a fingerprint that is a file's checksum.
const checksumPrefix = "sha256:"

// secureConfig makes go-plugin verify the file, if its checksum is known.
func secureConfig(fingerprint string) (*plugin.SecureConfig, error) {
	digits, ok := strings.CutPrefix(fingerprint, checksumPrefix)
	if !ok {
		return nil, nil
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size {
		return nil, conn.Permanent(fmt.Errorf("fingerprint %q is not a SHA-256 checksum in hexadecimal", fingerprint))
	}
	return &plugin.SecureConfig{Checksum: sum, Hash: sha256.New()}, nil
}

// Lasts reports whether the error of starting a child is one that starting the same file
// again cannot help.
func Lasts(err error) bool {
	for _, permanent := range []error{
		conn.ErrPermanent, plugin.ErrIncompatible, plugin.ErrChecksumsDoNotMatch, syscall.ENOEXEC,
	} {
		if errors.Is(err, permanent) {
			return true
		}
	}
	return false
}
