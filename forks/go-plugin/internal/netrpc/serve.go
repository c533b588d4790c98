// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// Serving says how calls are served: those of a session, and those of what its broker
// accepts. The zero value is that of a host.
type Serving struct {
	Panicked   panics.Func    // says what becomes of a panic in a method
	Output     *stdio.Barrier // nil: no output is sent before an answer
	MaxMessage int            // bounds each message, in bytes; zero does not
	Around     calls.Around   // runs each call; nil: nothing is around it
	calls      *calls.Gauge   // counts calls in flight; nil: they are not counted
}

// serve serves the exported methods of v under "Plugin" until conn ends.
func (s Serving) serve(conn io.ReadWriteCloser, v any) {
	newService(conn, s.within(newServer(v), ""), s).serve()
}

// service serves net/rpc on one connection. One goroutine reads at a time. When it has
// a request whose method it is to run, it starts another one that reads on. So it is
// there when the method does not return, which rpc.Server.ServeCodec does not allow.
type service struct {
	Serving
	conn    io.ReadWriteCloser
	handler mux.Handler
	// answered, if not nil, is called with the method once its answer is
	// written, or cannot be.
	answered func(method string)

	// ctx ends with the connection, or with serve. The calls' contexts are made of it.
	ctx context.Context
	end context.CancelCauseFunc

	dec     *gob.Decoder // the reader's
	running sync.WaitGroup

	sending sync.Mutex
	enc     *pairEncoder

	contexts   sync.Mutex
	cancelable map[uint64]*request // calls under way that have a context, by number
}

func newService(conn io.ReadWriteCloser, handler mux.Handler, how Serving) *service {
	dec := gob.NewDecoder(boundGob(conn, how.MaxMessage))
	s := &service{Serving: how, conn: conn, handler: handler, dec: dec, enc: newPairEncoder(&rpc.Response{}, how.MaxMessage)}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	return s
}

// serve serves until the connection ends and the methods have, and closes it.
func (s *service) serve() {
	s.running.Add(1)
	go s.read()
	s.running.Wait()
	s.end(nil)
	_ = s.conn.Close()
}

// read reads requests until the connection ends or another goroutine reads.
func (s *service) read() {
	defer s.running.Done()
	for {
		r := request{service: s}
		r.run()
		if r.handedOver || r.broken {
			return
		}
	}
}

// request is the rpc.ServerCodec of one request.
type request struct {
	service    *service
	header     rpc.Request
	carried    mux.Carried
	cancel     context.CancelFunc // of its context, if it has one
	broken     bool               // nothing more can be read
	handedOver bool               // another goroutine reads
	answered   bool
	counted    bool // among the calls in flight
}

// run reads a request, runs its method and answers, also when the method does
// not return.
func (r *request) run() {
	returned := false
	defer func() {
		if r.counted {
			r.service.calls.End()
		}
	}()
	defer r.ended(&returned)
	_ = r.service.handler.ServeRequest(r) // An error is in the answer already.
	returned = true
}

// ended is deferred by run.
func (r *request) ended(returned *bool) {
	if *returned || r.service.Panicked == nil {
		return
	}
	text := r.service.Panicked(r.header.ServiceMethod, recover())
	if !r.handedOver {
		// A type that decodes itself has ended the goroutine that reads.
		r.service.end(peererr.ErrConnectionLost)
		_ = r.service.conn.Close()
		return
	}
	if !r.answered {
		_ = r.WriteResponse(&rpc.Response{ServiceMethod: r.header.ServiceMethod, Seq: r.header.Seq, Error: text}, struct{}{})
	}
}

// ReadRequestHeader begins the call.
func (r *request) ReadRequestHeader(header *rpc.Request) error {
	came, carried, err := r.service.readHeader()
	if err != nil {
		r.broken = true
		r.service.end(peererr.Lost(err))
		return err
	}
	header.ServiceMethod, header.Seq = came.ServiceMethod, came.Seq
	r.header, r.carried = rpc.Request{ServiceMethod: came.ServiceMethod, Seq: came.Seq}, carried
	if r.service.calls != nil {
		r.service.calls.Begin()
		r.counted = true
	}
	return nil
}

// ReadRequestBody decodes the arguments. When it returns without an error
// and body is not nil, the method is called.
func (r *request) ReadRequestBody(body any) error {
	if err := mux.Decode(r.service.dec, body); err != nil || body == nil {
		// The calls under way are still answered, but no more requests are read.
		r.broken = err != nil && mux.LosesStep(reflect.TypeOf(body))
		return err
	}
	r.handedOver = true
	r.service.running.Add(1)
	go r.service.read()
	return nil
}

// WriteResponse answers.
func (r *request) WriteResponse(response *rpc.Response, body any) error {
	s := r.service
	s.Output.Wait(context.Background())
	err := s.send(response, body)
	r.answered = true
	if s.answered != nil {
		s.answered(response.ServiceMethod)
	}
	if err != nil {
		// The caller would wait for this answer for ever.
		_ = s.conn.Close()
		return fmt.Errorf("answer %s: %w", response.ServiceMethod, err)
	}
	return nil
}

// Close implements rpc.ServerCodec. ServeRequest does not call it.
func (r *request) Close() error { return r.service.conn.Close() }

// headerRoom is what an answer's header has at most beside its texts, in bytes.
const headerRoom = 64

func (s *service) send(response *rpc.Response, body any) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.MaxMessage > 0 { // it is in the header, which has no bound of its own
		response.Error = mux.ClipError(response.Error, max(0, s.MaxMessage-len(response.ServiceMethod)-headerRoom))
	}
	err := s.enc.add(response, body)
	if err != nil && response.Error == "" {
		response.Error = mux.CannotEncode(err)
		err = s.enc.add(response, struct{}{})
	}
	if err != nil {
		return err
	}
	return s.enc.writeTo(s.conn)
}
