// SPDX-License-Identifier: MPL-2.0

package so

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Options say how to load shared objects.
type Options struct {
	Contract attach.Contract

	// TempDir is where a shared object is copied to while it
	// is loaded, so that its file may be written over while it is in use. It
	// must be on a file system from which code may be run. Empty: os.TempDir.
	TempDir string

	// Logger is used by the sessions. Nil is silent.
	Logger hclog.Logger
}

type dialer struct{ opts Options }

// Dialer returns a dialer of target.InProcess endpoints. Its errors are
// permanent, but for files that cannot be read for now.
//
// Every dial of an endpoint gives a session of its own with the one object that
// is loaded. A file that was replaced since it was loaded is an error: Go cannot
// unload it, only a restart of the host can.
func Dialer(opts Options) (conn.Dialer, error) {
	if err := opts.Contract.Validate(); err != nil {
		return nil, fmt.Errorf("shared object dialer: %w", err)
	}
	opts.Logger = cmp.Or(opts.Logger, hclog.NewNullLogger())
	return &dialer{opts: opts}, nil
}

// Dial implements conn.Dialer.
func (d *dialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %s: %w", e.Address, err)
	}
	if !Supported {
		return nil, conn.Permanent(fmt.Errorf("load %s: %w", e.Address, errUnsupported))
	}
	obj, err := loaded.object(d.opts.TempDir, e.Address, e.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", e.Address, err)
	}
	return d.serve(ctx, e, obj)
}

// drainTimeout bounds how long a session that was closed waits for the calls in
// it. They are lost with the session; this is for their goroutines, which
// cannot be stopped from outside.
const drainTimeout = time.Second

// serve starts a server of the object's plugin for one session, and attaches to
// it.
func (d *dialer) serve(ctx context.Context, e target.Endpoint, obj *object) (conn.Session, error) {
	served := *obj.config
	served.TLSProvider, served.Test = nil, nil
	served.Network = &plugin.NetworkConfig{Name: e.Plugin, DrainTimeout: drainTimeout}
	// The library's own lines; what goes wrong is also told as an error.
	served.Logger = hclog.NewNullLogger()
	server := startServer(&served)
	here, err := server.dial(ctx)
	if err != nil {
		return nil, server.close(fmt.Errorf("attach to plugin at %s: %w", e.Address, err))
	}

	config := d.opts.Contract.ClientConfig(e.Plugin)
	config.Reattach = &plugin.ReattachConfig{Addr: fileAddr(e.Address)}
	config.KeepaliveInterval = -1 // Nothing can come between the two ends.
	config.Logger = d.opts.Logger.Named(e.Plugin)
	config.SyncStdout, config.SyncStderr = io.Discard, io.Discard // The plugin writes to the host's own.
	session, err := plugin.AttachConn(ctx, here, config)
	if err != nil {
		return nil, permanentRefusal(server.close(err))
	}
	return attach.NewSession(session, attach.Details{
		Instance: obj.instance(),
		Build:    attach.BuildText(obj.info),
		Closed:   func() error { return server.close(nil) },
	}), nil
}
