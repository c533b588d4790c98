// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"encoding/gob"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/panics"
	"io"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// rpcService serves net/rpc on one connection. One goroutine reads at a time. It
// lets another one read on when it has a request whose method it is to run, so
// that it is there when the method does not return, which rpc.Server.ServeCodec
// does not allow.
type rpcService struct {
	conn   io.ReadWriteCloser
	server *rpc.Server
	// answered, if not nil, is called with the method once its answer is
	// written, or cannot be.
	answered func(method string)
	rpcServing

	dec     *gob.Decoder // the reader's
	running sync.WaitGroup

	sending sync.Mutex
	enc     *pairEncoder
}

func newRPCService(conn io.ReadWriteCloser, server *rpc.Server, how rpcServing) *rpcService {
	dec := gob.NewDecoder(boundGob(conn, how.maxMessage))
	return &rpcService{conn: conn, server: server, rpcServing: how, dec: dec, enc: newPairEncoder(&rpc.Response{}, how.maxMessage)}
}

// serve serves until the connection ends and the methods have, and closes it.
func (s *rpcService) serve() {
	s.running.Add(1)
	go s.read()
	s.running.Wait()
	_ = s.conn.Close()
}

// read reads requests until the connection ends or another goroutine reads.
func (s *rpcService) read() {
	defer s.running.Done()
	for {
		r := rpcRequest{service: s}
		r.run()
		if r.handedOver || r.broken {
			return
		}
	}
}

// rpcRequest is the rpc.ServerCodec of one request.
type rpcRequest struct {
	service    *rpcService
	header     rpc.Request
	broken     bool // nothing more can be read
	handedOver bool // another goroutine reads
	answered   bool
	counted    bool // among the calls in flight
}

// run reads a request, runs its method and answers, also when the method does
// not return.
func (r *rpcRequest) run() {
	returned := false
	defer r.uncount() // where there was no answer
	defer r.ended(&returned)
	_ = r.service.server.ServeRequest(r) // An error is in the answer already.
	returned = true
}

// ended is deferred by run.
func (r *rpcRequest) ended(returned *bool) {
	if *returned || r.service.panicked == nil {
		return
	}
	text := r.service.panicked(r.header.ServiceMethod, recover())
	if !r.handedOver {
		// A type that decodes itself has ended the goroutine that reads.
		_ = r.service.conn.Close()
		return
	}
	if !r.answered {
		_ = r.WriteResponse(&rpc.Response{ServiceMethod: r.header.ServiceMethod, Seq: r.header.Seq, Error: text}, struct{}{})
	}
}

// ReadRequestHeader implements rpc.ServerCodec.
func (r *rpcRequest) ReadRequestHeader(header *rpc.Request) error {
	if err := r.service.dec.Decode(header); err != nil {
		r.broken = true
		return err
	}
	r.header = rpc.Request{ServiceMethod: header.ServiceMethod, Seq: header.Seq}
	if r.service.calls != nil {
		r.service.calls.Begin()
		r.counted = true
	}
	return nil
}

// uncount notes that the call is no longer in flight.
func (r *rpcRequest) uncount() {
	if r.counted {
		r.counted = false
		r.service.calls.End()
	}
}

// ReadRequestBody implements rpc.ServerCodec. When it returns without an error
// and body is not nil, the method is called.
func (r *rpcRequest) ReadRequestBody(body any) error {
	if err := rpcmux.Decode(r.service.dec, body); err != nil || body == nil {
		// The calls under way are still answered, but no more requests are read.
		r.broken = err != nil && losesStep(reflect.TypeOf(body))
		return err
	}
	r.handedOver = true
	r.service.running.Add(1)
	go r.service.read()
	return nil
}

// WriteResponse implements rpc.ServerCodec.
func (r *rpcRequest) WriteResponse(response *rpc.Response, body any) error {
	s := r.service
	s.before.Wait(context.Background())
	err := s.send(response, body)
	r.answered = true
	if s.answered != nil {
		s.answered(response.ServiceMethod)
	}
	r.uncount()
	if err != nil {
		// The caller would wait for this answer for ever.
		_ = s.conn.Close()
		return fmt.Errorf("answer %s: %w", response.ServiceMethod, err)
	}
	return nil
}

// headerRoom is what an answer's header has at most beside its texts, in bytes.
const headerRoom = 64

func (s *rpcService) send(response *rpc.Response, body any) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.maxMessage > 0 { // it is in the header, which has no bound of its own
		response.Error = rpcmux.ClipError(response.Error, max(0, s.maxMessage-len(response.ServiceMethod)-headerRoom))
	}
	err := s.enc.add(response, body)
	if err != nil && response.Error == "" {
		response.Error = rpcmux.CannotEncode(err)
		err = s.enc.add(response, struct{}{})
	}
	if err != nil {
		return err
	}
	return s.enc.writeTo(s.conn)
}

// Close implements rpc.ServerCodec. ServeRequest does not call it.
func (r *rpcRequest) Close() error { return r.service.conn.Close() }

// rpcServing is how the calls of a session are served, and those of what it brokers.
// The zero value is that of a host.
type rpcServing struct {
	calls      callCounter    // nil where nobody asks
	panicked   panics.Func    // says what becomes of a panic in a method
	before     *stdio.Barrier // nil: no output is sent before an answer
	maxMessage int            // bounds each message, in bytes; zero does not
}

// serveNetRPC serves the exported methods of v under "Plugin" until conn ends.
func serveNetRPC(conn io.ReadWriteCloser, v any, how rpcServing) {
	newRPCService(conn, newNetRPCServer("Plugin", v), how).serve()
}

// newNetRPCServer returns a server of the exported methods of v under name.
func newNetRPCServer(name string, v any) *rpc.Server {
	server := rpc.NewServer()
	if err := server.RegisterName(name, v); err != nil {
		// v has no method in the form that net/rpc wants. Its author learns of
		// it from the error of the first call.
		server = rpc.NewServer()
	}
	return server
}
