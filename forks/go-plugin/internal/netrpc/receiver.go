// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"go/token"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// serviceName is the name that a receiver is served under.
const serviceName = "Plugin"

// ContextReceiver is a receiver whose methods may take a context first. The root package
// documents it.
type ContextReceiver struct{ Receiver any }

// Method is a method of a receiver that can be called over net/rpc.
type Method struct {
	reflect.Method
	Args, Reply reflect.Type // Reply is what the method's pointer points to.
	hasContext  bool
}

// Methods lists the methods of a receiver that are served: those of the form that net/rpc
// wants, which is two arguments of exported or builtin type, the second a pointer, and
// an error for result; and those with a context before, of a [ContextReceiver].
func Methods(receiver any) []Method {
	wrapped, mayHave := receiver.(*ContextReceiver)
	if mayHave {
		receiver = wrapped.Receiver
	}
	t := reflect.TypeOf(receiver)
	if t == nil {
		return nil
	}
	var methods []Method
	for i := range t.NumMethod() {
		if m, ok := newMethod(t.Method(i)); ok && (mayHave || !m.hasContext) {
			methods = append(methods, m)
		}
	}
	return methods
}

func newMethod(m reflect.Method) (method Method, ok bool) {
	t := m.Type // the receiver is argument 0
	first := 1
	if t.NumIn() == 4 && t.In(1) == reflect.TypeFor[context.Context]() {
		first = 2
	}
	if t.NumIn() != first+2 || t.NumOut() != 1 || t.Out(0) != reflect.TypeFor[error]() {
		return Method{}, false
	}
	args, reply := t.In(first), t.In(first+1)
	if reply.Kind() != reflect.Pointer || !isVisible(args) || !isVisible(reply) {
		return Method{}, false
	}
	return Method{Method: m, Args: args, Reply: reply.Elem(), hasContext: first == 2}, true
}

func isVisible(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "" || token.IsExported(t.Name())
}

// newServer returns what serves a receiver under the service name.
func newServer(receiver any) mux.Handler {
	of, served := servedType{reflect.TypeOf(receiver), false}, receiver
	if wrapped, ok := receiver.(*ContextReceiver); ok {
		of, served = servedType{reflect.TypeOf(wrapped.Receiver), true}, wrapped.Receiver
	}
	methods := methodsOf(of, receiver)
	return &server{receiver: reflect.ValueOf(served), methods: methods.byName, others: sync.OnceValue(func() *rpc.Server {
		if served == nil || of.mayHaveContext && !methods.plain { // It would log that there is nothing to serve.
			return rpc.NewServer()
		}
		return newRPCServer(served)
	})}
}

// servedType is what decides which methods of a receiver are served.
type servedType struct {
	reflect.Type
	mayHaveContext bool
}

// servedMethods are those of a servedType. They never change.
type servedMethods struct {
	byName map[string]*Method // by "Plugin.Greet"
	plain  bool               // some have no context
}

// knownMethods has the methods of all types that were served, of which a program has few. To
// find them would take most of the time in which a channel is opened.
var knownMethods sync.Map

// methodsOf gives the methods of a receiver that are served.
func methodsOf(of servedType, receiver any) *servedMethods {
	if known, ok := knownMethods.Load(of); ok {
		return known.(*servedMethods)
	}
	all := &servedMethods{byName: make(map[string]*Method)}
	for _, m := range Methods(receiver) {
		all.byName[serviceName+"."+m.Name] = &m
		all.plain = all.plain || !m.hasContext
	}
	knownMethods.Store(of, all)
	return all
}

func newRPCServer(receiver any) *rpc.Server {
	server := rpc.NewServer()
	if err := server.RegisterName(serviceName, receiver); err != nil {
		// It has no method in the form that net/rpc wants. Its author learns of
		// it from the error of the first call.
		server = rpc.NewServer()
	}
	return server
}
