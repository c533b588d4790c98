// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// replicas is how many endpoints are ready when one of them is killed.
const replicas = 3

// kill says, n times, how long after SIGKILL of the endpoint in use a call is answered:
// the one that is in that endpoint then (Times), and one made right after (Others).
func kill(protocol plugin.Protocol) func(*peer.Servers, int) (wire.Reply, error) {
	return func(s *peer.Servers, n int) (reply wire.Reply, err error) {
		r := &replicaSet{servers: s, protocol: protocol, source: manual.New("bench")}
		for range replicas {
			if err := r.add(); err != nil {
				return reply, err
			}
		}
		r.update()
		o, err := hostOptions(protocol, 0)
		if err != nil {
			return reply, err
		}
		o.Sources = []discovery.Source{r.source}
		h, err := runHost(o, replicas)
		if err != nil {
			return reply, err
		}
		defer func() { err = errors.Join(err, h.close()) }()
		g, err := h.dispense()
		if err != nil {
			return reply, err
		}
		for i := range n {
			within, after, err := r.kill(g, filepath.Join(s.Dir(), "held"+strconv.Itoa(i)))
			if err != nil {
				return reply, fmt.Errorf("kill %d: %w", i+1, err)
			}
			reply.Times, reply.Others = append(reply.Times, within), append(reply.Others, after)
			if err := r.replace(h.daemon); err != nil {
				return reply, fmt.Errorf("kill %d: %w", i+1, err)
			}
		}
		return reply, nil
	}
}

// replicaSet is what is killed from.
type replicaSet struct {
	servers  *peer.Servers
	protocol plugin.Protocol
	source   *manual.Source
	alive    []*peer.Server
}

// add starts one more server.
func (r *replicaSet) add() error {
	server, err := r.servers.Start(nil, string(r.protocol), holding, "1")
	if err != nil {
		return err
	}
	r.alive = append(r.alive, server)
	return nil
}

// update says which servers there are.
func (r *replicaSet) update() {
	group := target.Group{Key: "replicas"}
	for _, s := range r.alive {
		group.Endpoints = append(group.Endpoints, target.Endpoint{
			ID: target.MakeID(name, s.Line), Plugin: name, Placement: target.Network, Address: s.Line,
		})
	}
	r.source.Update(group)
}

// kill ends the server that holds a call, and forgets it.
func (r *replicaSet) kill(g greet.Greeter, held string) (inUse, next time.Duration, err error) {
	type answer struct {
		at  time.Time
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		_, err := g.Greet(hold + held)
		answered <- answer{time.Now(), err}
	}()
	at, err := r.holds(held)
	if err != nil {
		return 0, 0, err
	}
	victim := r.alive[at]
	r.alive = slices.Delete(r.alive, at, at+1)
	start := time.Now()
	if err := victim.Strike(); err != nil {
		return 0, 0, err
	}
	_, err = g.Greet("next")
	next = time.Since(start)
	first := <-answered
	return first.at.Sub(start), next, errors.Join(err, first.err, victim.Kill())
}

// holds waits until a server holds the call, and says which one.
func (r *replicaSet) holds(held string) (int, error) {
	tick := time.NewTicker(time.Millisecond / 4)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		text, err := os.ReadFile(held)
		line, complete := strings.CutSuffix(string(text), "\n")
		if err != nil || !complete {
			continue
		}
		at := slices.IndexFunc(r.alive, func(s *peer.Server) bool { return strconv.Itoa(s.PID()) == line })
		if at < 0 {
			return 0, fmt.Errorf("process %s is none of the servers", line)
		}
		return at, nil
	}
	return 0, errors.New("no server holds the call")
}

// replace starts a server for the one that was killed, and waits until it is ready.
func (r *replicaSet) replace(d *daemon.Daemon) error {
	if err := r.add(); err != nil {
		return err
	}
	events := d.Subscribe(64)
	defer events.Close()
	r.update()
	return awaitReady(events, 1)
}
