// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// contextServer serves a [ContextReceiver]: the methods with a context itself, in the way
// of an rpc.Server, and by one the others.
type contextServer struct {
	receiver reflect.Value
	methods  map[string]Method // by "Plugin.Greet"
	others   *rpc.Server
}

// ServeRequest implements mux.Handler.
func (s *contextServer) ServeRequest(codec rpc.ServerCodec) error {
	var r rpc.Request
	if err := codec.ReadRequestHeader(&r); err != nil {
		return err
	}
	m, ok := s.methods[r.ServiceMethod]
	if !ok {
		return s.others.ServeRequest(&headedCodec{codec, &r})
	}
	response := &rpc.Response{ServiceMethod: r.ServiceMethod, Seq: r.Seq}
	reply, err := s.call(m, codec)
	if err != nil {
		response.Error, reply = err.Error(), struct{}{}
	}
	return codec.WriteResponse(response, reply)
}

// call reads the arguments, and runs the method. Its context ends when it has returned.
func (s *contextServer) call(m Method, codec rpc.ServerCodec) (reply any, err error) {
	ctx, cancel := callContext(codec)
	defer cancel()
	args := reflect.New(m.Args)
	if m.Args.Kind() == reflect.Pointer {
		args.Elem().Set(reflect.New(m.Args.Elem()))
		err = codec.ReadRequestBody(args.Elem().Interface())
	} else {
		err = codec.ReadRequestBody(args.Interface())
	}
	if err != nil {
		return nil, err
	}
	to := newReply(m.Reply)
	out := m.Func.Call([]reflect.Value{s.receiver, reflect.ValueOf(ctx), args.Elem(), to})
	err, _ = out[0].Interface().(error)
	return to.Interface(), err
}

// newReply gives a pointer to what a method sets: as of an rpc.Server, a map or slice is
// not nil.
func newReply(t reflect.Type) reflect.Value {
	to := reflect.New(t)
	switch t.Kind() {
	case reflect.Map:
		to.Elem().Set(reflect.MakeMap(t))
	case reflect.Slice:
		to.Elem().Set(reflect.MakeSlice(t, 0, 0))
	}
	return to
}

// callContext gives the context of the request whose header was read. Whoever gets it
// calls cancel.
func callContext(codec rpc.ServerCodec) (ctx context.Context, cancel context.CancelFunc) {
	if c, ok := codec.(mux.ContextCodec); ok {
		return c.CallContext()
	}
	return context.WithCancel(context.Background())
}

// headedCodec is a codec whose header was read already.
type headedCodec struct {
	rpc.ServerCodec
	header *rpc.Request
}

// ReadRequestHeader implements rpc.ServerCodec.
func (c *headedCodec) ReadRequestHeader(r *rpc.Request) error {
	r.ServiceMethod, r.Seq = c.header.ServiceMethod, c.header.Seq
	return nil
}
