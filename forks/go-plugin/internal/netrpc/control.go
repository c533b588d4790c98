// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// The methods of a session's own services.
const (
	methodPing     = "Control.Ping"
	methodQuit     = "Control.Quit"
	methodGoAway   = "Control.GoAway"
	methodDispense = "Dispenser.Dispense"
)

// control serves the net/rpc services "Control" and "Dispenser" of a session. Each
// session has one, and an rpc.Server would look through all of its methods first.
type control struct {
	kinds    func(kind string) (impl any, err error)
	panicked panics.Func // says what becomes of a panic in kinds
	// within gives what runs the calls of a kind within the plugin's Around.
	within func(handler mux.Handler, kind string) mux.Handler
	// register serves a kind and returns the id where.
	register func(mux.Handler) (id uint32, err error)
	// raw says that a kind has a connection, which a Raw can be given.
	raw bool
	// remote, if not nil, is asked in the place of kinds and register.
	remote *Host
	// finishOutput sends what the plugin has written by now. It gives up with ctx.
	finishOutput func(ctx context.Context)
	// draining is closed when the plugin is about to leave; nil: it does not say so by
	// an answer. ended is closed when the session has ended.
	draining, ended <-chan struct{}
}

// ServeRequest implements mux.Handler.
func (c *control) ServeRequest(codec rpc.ServerCodec) error {
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	reply, err := c.serve(r.ServiceMethod, codec)
	response := &rpc.Response{ServiceMethod: r.ServiceMethod, Seq: r.Seq}
	if err != nil {
		response.Error, reply = err.Error(), struct{}{}
	}
	return codec.WriteResponse(response, reply)
}

// serve reads the argument of a method and runs it.
func (c *control) serve(method string, codec rpc.ServerCodec) (reply any, err error) {
	switch {
	case method == methodPing:
		if err := codec.ReadRequestBody(new(bool)); err != nil || c.remote == nil {
			return struct{}{}, err
		}
		return struct{}{}, c.remote.Ping()
	case method == methodQuit:
		err := codec.ReadRequestBody(new(bool))
		flush(c.finishOutput)
		return struct{}{}, err
	case method == methodGoAway && c.draining != nil:
		if err := codec.ReadRequestBody(new(bool)); err != nil {
			return nil, err
		}
		return struct{}{}, c.awaitDraining()
	case method == methodDispense:
		var kind string
		if err := codec.ReadRequestBody(&kind); err != nil {
			return nil, err
		}
		if c.remote != nil {
			return c.remote.dispense(kind)
		}
		handler, err := c.open(kind)
		if err != nil {
			return nil, err
		}
		return c.register(handler)
	}
	return nil, errors.Join(fmt.Errorf("rpc: can't find method %s", method), codec.ReadRequestBody(nil))
}

// awaitDraining returns when the plugin is about to leave, and never before: a host
// leaves this one call open and knows then that it should call elsewhere. PROTOCOL.md,
// feature "goaway".
func (c *control) awaitDraining() error {
	select {
	case <-c.draining:
		return nil
	case <-c.ended:
		return peererr.ErrConnectionLost
	}
}

// open returns what serves a kind.
func (c *control) open(kind string) (handler mux.Handler, err error) {
	returned := false
	defer func() {
		if !returned && c.panicked != nil {
			handler, err = nil, errors.New(c.panicked("Server of "+kind, recover()))
		}
	}()
	impl, err := c.kinds(kind)
	returned = true
	if err != nil {
		return nil, err
	}
	if raw, ok := impl.(*Raw); ok {
		if !c.raw {
			return nil, errors.New("what is handed on needs a connection of its own for each kind, as hosts of the original library have it")
		}
		return raw, nil
	}
	return c.within(newServer(impl), kind), nil
}

// ServeRequest implements mux.Handler. It is not called: a Raw has its connection.
func (*Raw) ServeRequest(rpc.ServerCodec) error { return errors.ErrUnsupported }
