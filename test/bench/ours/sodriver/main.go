// SPDX-License-Identifier: MPL-2.0

// Command sodriver measures a plugin that is a shared object. It is a program of its own,
// because it needs cgo.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{{Name: "so", Open: open}},
		Serve:    func([]string) error { return errors.New("there is no server: the plugin is in the host") },
	}.Main()
}

// objects is a directory beside this program, in which the plugin is and nothing else. A
// process loads an object once, so it is the same one for all hosts.
const objects = "objects"

func open(*peer.Servers) (peer.Target, error) {
	o := daemon.DefaultOptions()
	o.Handshake, o.PluginDir = glue.Handshake(), filepath.Join(filepath.Dir(os.Args[0]), objects)
	o.Kinds = []daemon.Kind{daemon.NewKind[greet.Greeter](greet.Kind, &glue.RPC{})}
	o.Dialers = map[target.Placement]func(attach.Contract) (conn.Dialer, error){
		target.InProcess: func(c attach.Contract) (conn.Dialer, error) { return so.Dialer(so.Options{Contract: c}) },
	}
	return peer.AttachFunc(func() (peer.Session, error) { return run(o) }), nil
}

func run(o daemon.Options) (peer.Session, error) {
	d, err := daemon.New(o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	end := func() error {
		stop()
		return <-ended
	}
	g, err := dispense(ctx, d)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return peer.NewSession(g, end), nil
}

// dispense waits until the directory has been looked at, and gives what is in it.
func dispense(ctx context.Context, d *daemon.Daemon) (greet.Greeter, error) {
	if err := d.Synced(ctx); err != nil {
		return nil, err
	}
	for _, p := range d.Plugins() {
		return daemon.Dispense[greet.Greeter](ctx, d, p.Name, greet.Kind)
	}
	return nil, errors.New("the shared object was not found")
}
