// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"go/token"
	"maps"
	"net"
	"reflect"
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
	t := reflect.TypeOf(impl)
	for i := range t.NumMethod() {
		if m := t.Method(i); isNetRPCMethod(m) {
			methods = append(methods, hello.Method{
				Name:  m.Name,
				Args:  m.Type.In(1).String(),
				Reply: m.Type.In(2).Elem().String(),
			})
		}
	}
	return methods, nil
}

// isNetRPCMethod reports whether net/rpc would serve the method: two arguments
// of exported or builtin type, the second a pointer, and an error for result.
func isNetRPCMethod(m reflect.Method) bool {
	t := m.Type // the receiver is argument 0
	return t.NumIn() == 3 && t.NumOut() == 1 &&
		t.In(2).Kind() == reflect.Pointer &&
		isVisible(t.In(1)) && isVisible(t.In(2)) &&
		t.Out(0) == reflect.TypeFor[error]()
}

func isVisible(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "" || token.IsExported(t.Name())
}

// endedSession is the netrpc.Streams of a session that has ended before it began.
type endedSession struct{}

func (endedSession) Open() (net.Conn, error)   { return nil, ErrConnectionLost }
func (endedSession) Accept() (net.Conn, error) { return nil, ErrConnectionLost }
func (endedSession) Close() error              { return nil }
func (endedSession) CloseChan() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}
