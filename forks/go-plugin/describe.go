// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// describeNetRPC lists the kinds of a set with the methods that each serves
// over net/rpc. It reports false when one of them cannot be served that way.
func describeNetRPC(set PluginSet) (kinds []hello.Kind, ok bool) {
	ok = true
	for _, name := range slices.Sorted(maps.Keys(set)) {
		methods, err := netRPCMethods(set[name])
		if err != nil {
			ok = false
		}
		kinds = append(kinds, hello.Kind{Name: name, Methods: methods})
	}
	return kinds, ok
}

// netRPCMethods asks a plugin for the value that it would serve, with a broker
// that leads nowhere, and lists its methods.
func netRPCMethods(p Plugin) (methods []hello.Method, err error) {
	defer func() {
		// A plugin that cannot be asked may still be able to serve.
		if r := recover(); r != nil {
			methods, err = nil, fmt.Errorf("Server panics: %s", panics.Of(r))
		}
	}()
	impl, err := p.Server(&MuxBroker{broker: netrpc.NewBroker(endedSession{}, netrpc.NewArrivals(), rendezvous.Wait, netrpc.Serving{})})
	if err != nil {
		return nil, err
	}
	if impl == nil {
		return nil, errNetRPCUnsupported
	}
	for _, m := range netrpc.Methods(impl) {
		methods = append(methods, hello.Method{Name: m.Name, Args: m.Args.String(), Reply: m.Reply.String()})
	}
	return methods, nil
}

// endedSession is the netrpc.Streams of a session that has ended before it began.
type endedSession struct{}

func (endedSession) Dial(uint32) (net.Conn, error) { return nil, ErrConnectionLost }
func (endedSession) Close() error                  { return nil }
func (endedSession) CloseChan() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}
