// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/mux"
)

// aroundServer runs each request of a handler within an Around.
type aroundServer struct {
	mux.Handler
	kind   string // empty: of what a broker serves
	around calls.Around
}

// within gives a handler whose requests an Around runs, if there is one.
func (s Serving) within(handler mux.Handler, kind string) mux.Handler {
	if _, raw := handler.(*Raw); s.Around == nil || raw {
		return handler
	}
	return &aroundServer{handler, kind, s.Around}
}

// ServeRequest implements mux.Handler.
func (s *aroundServer) ServeRequest(codec rpc.ServerCodec) (err error) {
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	ctx, cancel := callContext(codec)
	defer cancel()
	call := calls.Served{Protocol: "netrpc", Kind: s.kind, Method: r.ServiceMethod}
	s.around(ctx, call, func(ctx context.Context) error {
		within := &aroundCodec{headedCodec: headedCodec{codec, &r}, ctx: ctx}
		if err = s.Handler.ServeRequest(within); within.answer != "" {
			return errors.New(within.answer)
		}
		return err
	})
	return err
}

// aroundCodec is the codec of one request. Its context is that which the Around gives.
type aroundCodec struct {
	headedCodec
	ctx    context.Context
	answer string // the error that the request is answered with
}

// CallContext implements mux.ContextCodec.
func (c *aroundCodec) CallContext() (context.Context, context.CancelFunc) {
	return context.WithCancel(c.ctx)
}

// WriteResponse implements rpc.ServerCodec.
func (c *aroundCodec) WriteResponse(r *rpc.Response, body any) error {
	c.answer = r.Error
	return c.headedCodec.WriteResponse(r, body)
}
