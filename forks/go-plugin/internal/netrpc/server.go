// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// server serves the methods of a receiver in the way of an rpc.Server, of which it answers
// what names none: for each call that one takes three locks, looks a service up and makes
// what is kept here. It also serves the methods of a [ContextReceiver] that take a context.
type server struct {
	receiver reflect.Value
	methods  map[string]*Method // by "Plugin.Greet"
	others   func() *rpc.Server
	calls    sync.Pool // of *servedCall
}

// servedCall is what is needed of one call after the other.
type servedCall struct {
	request  rpc.Request
	response rpc.Response
	in       [4]reflect.Value
}

// ServeRequest implements mux.Handler.
func (s *server) ServeRequest(codec rpc.ServerCodec) error {
	c, ok := s.calls.Get().(*servedCall)
	if !ok {
		c = new(servedCall)
	}
	if err := codec.ReadRequestHeader(&c.request); err != nil {
		return err
	}
	m, ok := s.methods[c.request.ServiceMethod]
	if !ok {
		return s.others().ServeRequest(&headedCodec{codec, &c.request})
	}
	c.response.ServiceMethod, c.response.Seq = c.request.ServiceMethod, c.request.Seq
	reply, err := s.call(m, c, codec)
	if err != nil {
		c.response.Error = err.Error()
	}
	if c.response.Error != "" { // net/rpc sends the reply beside an error without a text
		reply = struct{}{}
	}
	err = codec.WriteResponse(&c.response, reply)
	*c = servedCall{} // One whose method does not return is not used again.
	s.calls.Put(c)
	return err
}

// call reads the arguments, and runs the method. Its context ends when it has returned.
func (s *server) call(m *Method, c *servedCall, codec rpc.ServerCodec) (reply any, err error) {
	in := append(c.in[:0], s.receiver)
	if m.hasContext {
		ctx, cancel := callContext(codec)
		defer cancel()
		in = append(in, reflect.ValueOf(ctx))
	}
	args := reflect.New(m.Args)
	if m.Args.Kind() == reflect.Pointer {
		args.Elem().Set(reflect.New(m.Args.Elem()))
		err = codec.ReadRequestBody(args.Elem().Interface())
	} else {
		err = codec.ReadRequestBody(args.Interface())
	}
	if err != nil {
		return struct{}{}, err
	}
	to := newReply(m.Reply)
	out := m.Func.Call(append(in, args.Elem(), to))
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
