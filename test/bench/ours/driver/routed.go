// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

// name is what the plugin is called in the host.
const name = "bench"

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// routed is a subject whose calls go through the host library.
type routed struct {
	protocol  plugin.Protocol
	endpoints int
	busy      bool
}

func (r routed) open(s *peer.Servers) (peer.Target, error) {
	work := plain
	if r.busy {
		work = busy
	}
	addresses, err := listen(s, r.protocol, work, r.endpoints)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) {
		h, err := startHost(r.protocol, addresses)
		if err != nil {
			return nil, err
		}
		g, err := h.dispense()
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		return peer.NewSession(g, h.close), nil
	}), nil
}

// listen starts one server with many endpoints.
func listen(s *peer.Servers, protocol plugin.Protocol, work string, endpoints int) ([]string, error) {
	server, err := s.Start(nil, string(protocol), work, strconv.Itoa(endpoints))
	if err != nil {
		return nil, err
	}
	return strings.Split(server.Line, ","), nil
}

// host is a daemon that runs.
type host struct {
	daemon *daemon.Daemon
	stop   context.CancelFunc
	ended  chan error
}

// hostOptions are those of a daemon that knows the greeter, which has so long for a small
// call; 0 is the default.
func hostOptions(protocol plugin.Protocol, timeout time.Duration) (daemon.Options, error) {
	set, err := workers(protocol, nil)
	if err != nil {
		return daemon.Options{}, err
	}
	o := daemon.DefaultOptions()
	o.Handshake = glue.Handshake()
	o.Kinds = []daemon.Kind{daemon.NewKind[greet.Worker](greet.Kind, set[greet.Kind],
		daemon.WithMethod("Greet", stub.CallOptions{Idempotent: true, Timeout: timeout}))}
	return o, nil
}

// startHost runs a daemon, and waits until it is attached to every address.
func startHost(protocol plugin.Protocol, addresses []string) (*host, error) {
	o, err := hostOptions(protocol, 0)
	if err != nil {
		return nil, err
	}
	o.NetworkPlugins = name + "=" + strings.Join(addresses, ","+name+"=")
	return runHost(o, len(addresses))
}

// runHost runs a daemon, and waits until some endpoints are ready.
func runHost(o daemon.Options, endpoints int) (*host, error) {
	d, err := daemon.New(o)
	if err != nil {
		return nil, err
	}
	events := d.Subscribe(8 * endpoints)
	defer events.Close()
	ctx, stop := context.WithCancel(context.Background())
	h := &host{daemon: d, stop: stop, ended: make(chan error, 1)}
	go func() { h.ended <- d.Run(ctx) }()
	if err := awaitReady(events, endpoints); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// awaitReady waits until more endpoints have become ready.
func awaitReady(events *daemon.Subscription, more int) error {
	timeout, cause := time.After(patience), ""
	for more > 0 {
		select {
		case e := <-events.C():
			if e.Type == fleet.StateChanged && e.To == conn.Ready {
				more--
			}
			cause = cmp.Or(e.Cause, cause)
		case <-timeout:
			return fmt.Errorf("%d endpoints are not ready, %d events were missed; the last failure: %s", more, events.Dropped(), cause)
		}
	}
	return nil
}

func (h *host) dispense() (greet.Worker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return daemon.Dispense[greet.Worker](ctx, h.daemon, name, greet.Kind)
}

func (h *host) close() error {
	h.stop()
	return <-h.ended
}
