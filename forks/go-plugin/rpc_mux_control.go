// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/panics"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// muxControl serves the control channel of a session with the feature rpc-mux:
// the net/rpc services "Control" and "Dispenser". Each session has one, and an
// rpc.Server would look through all of its methods first.
type muxControl struct {
	plugins PluginSet
	broker  *MuxBroker
	session *rpcmux.Plugin
	// panicked says what becomes of a panic in Server.
	panicked panics.Func
}

// ServeRequest implements rpcmux.Handler.
func (c *muxControl) ServeRequest(codec rpc.ServerCodec) error {
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	reply, err := c.serve(r.ServiceMethod, codec)
	response := &rpc.Response{ServiceMethod: r.ServiceMethod, Seq: r.Seq}
	if err != nil {
		response.Error = err.Error()
	}
	return codec.WriteResponse(response, reply)
}

// serve reads the argument of a method and runs it.
func (c *muxControl) serve(method string, codec rpc.ServerCodec) (reply any, err error) {
	switch method {
	case "Control.Ping":
		return struct{}{}, codec.ReadRequestBody(new(bool))
	case "Control.Quit":
		err := codec.ReadRequestBody(new(bool))
		c.finishOutput()
		return struct{}{}, err
	case "Dispenser.Dispense":
		var kind string
		if err := codec.ReadRequestBody(&kind); err != nil {
			return nil, err
		}
		return c.dispense(kind)
	}
	return nil, errors.Join(fmt.Errorf("rpc: can't find method %s", method), codec.ReadRequestBody(nil))
}

// finishOutput sends what the plugin has written by now, before the answer.
func (c *muxControl) finishOutput() {
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	c.session.FinishOutput(ctx)
}

// dispense serves the plugin of that name on a new channel and returns the
// channel's id.
func (c *muxControl) dispense(kind string) (id uint32, err error) {
	server, err := c.open(kind)
	if err != nil {
		return 0, err
	}
	return uint32(c.session.Register(server)), nil
}

// open returns what serves the plugin of that name.
func (c *muxControl) open(kind string) (rpcmux.Handler, error) {
	p, ok := c.plugins[kind]
	if !ok {
		return nil, fmt.Errorf("unknown plugin type: %s", kind)
	}
	impl, err := c.ask(kind, p)
	if err != nil {
		return nil, err
	}
	return newNetRPCServer("Plugin", impl), nil
}

// ask returns what a plugin serves.
func (c *muxControl) ask(kind string, p Plugin) (impl any, err error) {
	returned := false
	defer func() {
		if !returned && c.panicked != nil {
			err = errors.New(c.panicked("Server of "+kind, recover()))
		}
	}()
	impl, err = p.Server(c.broker)
	returned = true
	return impl, err
}
