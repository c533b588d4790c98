// SPDX-License-Identifier: MPL-2.0

// Package daemontest puts an implementation of a kind behind everything that stands
// between it and its callers: a plugin on a socket of this machine, a daemon, and a stub.
//
//	p := daemontest.Serve(t, calchost.Kinds()[0], &calculator{})
//	calculator := daemontest.Stub[calc.Calculator](p)
//	sum, err := calculator.Add(t.Context(), 2, 3)
//
// What can happen to a plugin on a network can be made to happen: see [Endpoint].
package daemontest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// Name is the name of the plugin that a test serves.
const Name = "plugin"

// patience bounds what ought to happen at once.
const patience = 30 * time.Second

// Option changes what Serve does.
type Option func(*settings)

type settings struct {
	replicas  int
	netRPC    bool
	configure func(*daemon.Options)
}

// Replicas serves n endpoints with the same implementation, instead of one.
func Replicas(n int) Option { return func(s *settings) { s.replicas = n } }

// NetRPC has the plugin speak net/rpc although its kind could speak gRPC.
func NetRPC() Option { return func(s *settings) { s.netRPC = true } }

// Configure changes the daemon's options before it is made.
func Configure(change func(*daemon.Options)) Option {
	return func(s *settings) { s.configure = change }
}

// Plugin is a plugin that a test serves, and the daemon that calls it.
type Plugin struct {
	// Daemon has the plugin under the name [Name].
	Daemon *daemon.Daemon

	t         testing.TB
	kind      daemon.Kind
	endpoints []*Endpoint
}

// handshake is that of every test: both sides are its own.
func handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "DAEMONTEST_PLUGIN", MagicCookieValue: "hello"}
}

// Serve serves impl as kind, until the test ends. impl is an implementation of the kind's
// interface, for a kind whose plugin.Plugin is a pointer to a struct with a field Impl, or
// else the plugin.Plugin that serves it. It returns when all endpoints are ready; what does
// not fit ends the test.
func Serve(t testing.TB, kind daemon.Kind, impl any, options ...Option) *Plugin {
	t.Helper()
	s := settings{replicas: 1, configure: func(*daemon.Options) {}}
	for _, set := range options {
		set(&s)
	}
	serves, err := glueOf(kind, impl)
	if err != nil {
		t.Fatal(err)
	}
	p := &Plugin{t: t, kind: kind}
	version := func(set plugin.PluginSet) map[int]plugin.PluginSet {
		if s.netRPC {
			for name, glue := range set {
				set[name] = netRPCOnly{glue}
			}
		}
		return map[int]plugin.PluginSet{1: set}
	}
	var addresses []string
	for range s.replicas {
		e := newEndpoint(t, version(plugin.PluginSet{kind.Name(): serves}))
		p.endpoints = append(p.endpoints, e)
		addresses = append(addresses, Name+"="+e.address)
	}
	o := daemon.DefaultOptions()
	o.Handshake, o.Kinds, o.Versions = handshake(), []daemon.Kind{kind}, version
	o.NetworkPlugins = strings.Join(addresses, ",")
	s.configure(&o)
	if p.Daemon, err = daemon.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Daemon.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("daemontest: %v", err)
		}
	})
	p.Await(s.replicas)
	return p
}

// glueOf gives what serves impl: a copy of the kind's own plugin.Plugin with its Impl set.
func glueOf(kind daemon.Kind, impl any) (plugin.Plugin, error) {
	if glue, ok := impl.(plugin.Plugin); ok {
		return glue, nil
	}
	of := reflect.ValueOf(kind.Plugin())
	if of.Kind() == reflect.Pointer && of.Elem().Kind() == reflect.Struct {
		served := reflect.New(of.Elem().Type())
		served.Elem().Set(of.Elem())
		field := served.Elem().FieldByName("Impl")
		switch given := reflect.ValueOf(impl); {
		case !field.IsValid() || !field.CanSet():
		case !given.IsValid() || !given.Type().AssignableTo(field.Type()):
			return nil, fmt.Errorf("daemontest: kind %q: %T does not implement %s", kind.Name(), impl, field.Type())
		default:
			field.Set(given)
			return served.Interface().(plugin.Plugin), nil
		}
	}
	return nil, fmt.Errorf("daemontest: kind %q: its %T has no field Impl to set: give Serve the plugin.Plugin that serves it", kind.Name(), kind.Plugin())
}

// netRPCOnly hides that a plugin.Plugin can speak gRPC.
type netRPCOnly struct{ plugin.Plugin }

// Stub gives the plugin's kind as its interface T, as the daemon dispenses it. A T that is
// another type ends the test.
func Stub[T any](p *Plugin) T {
	p.t.Helper()
	v, err := daemon.Dispense[T](p.t.Context(), p.Daemon, Name, p.kind.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// Endpoint gives one of the plugin's endpoints, counted from zero.
func (p *Plugin) Endpoint(i int) *Endpoint { return p.endpoints[i] }

// Await waits until so many endpoints are ready, and no more: a daemon hears of an
// endpoint's end, or of its return, a moment later.
func (p *Plugin) Await(ready int) {
	p.t.Helper()
	changes := p.Daemon.Subscribe(64)
	defer changes.Close()
	late := time.After(patience)
	for {
		now, _ := p.Daemon.Plugin(Name)
		n := 0
		for _, e := range now.Endpoints {
			if e.State == conn.Ready {
				n++
			}
		}
		if n == ready {
			return
		}
		select {
		case _, open := <-changes.C():
			if !open {
				p.t.Fatal("daemontest: the daemon has ended")
			}
		case <-late:
			p.t.Fatalf("daemontest: after %s %d endpoints are ready, want %d: %+v", patience, n, ready, now.Endpoints)
		}
	}
}
