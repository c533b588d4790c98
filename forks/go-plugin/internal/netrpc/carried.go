// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"net"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// requestHeader is the header of a request on a brokered stream: that of net/rpc, and what
// the call carries. A reader of gob skips the fields that it does not have, so any peer
// takes it for the header that it knows. PROTOCOL.md.
type requestHeader struct {
	ServiceMethod string
	Seq           uint64
	// Carried is as mux.Request.AppendCarried has it. It is empty for nothing.
	Carried []byte
	// Cancel says that nobody waits for the answer to the request of that Seq any more. It
	// is no request then, and names no method: who does not know the field answers that
	// there is no such method, to a call that nobody waits for.
	Cancel bool
}

// carry makes a stream send what its requests carry, before its first request.
func (c *stream) carry() *stream {
	c.carrying = true
	c.enc = newPairEncoder(&requestHeader{}, c.enc.max)
	return c
}

// heading gives the header of a request. The caller holds mu. Metadata that cannot be carried
// are left out: few who make a callback know what is in their context, and nobody was told of
// it before.
func (c *stream) heading(r mux.Request) (header any, err error) {
	if !c.carrying {
		c.header = rpc.Request{ServiceMethod: r.Method, Seq: r.Number}
		return &c.header, nil
	}
	carried, err := r.AppendCarried(nil)
	if err != nil {
		r.Metadata = nil
		carried, err = r.AppendCarried(nil)
	}
	return &requestHeader{ServiceMethod: r.Method, Seq: r.Number, Carried: carried}, err
}

// Cancel says that nobody waits for the answer any more, where that can be said: net/rpc
// has no message for it. A request that waits for the connection stays, as it may hold
// descriptions of types that those after it need.
func (c *stream) Cancel(number uint64) (unsent bool) {
	if !c.carrying {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil && c.enc.add(&requestHeader{Seq: number, Cancel: true}, struct{}{}) == nil && !c.writing {
		c.writing = true
		go c.write()
	}
	return false
}

// DialClient dials an id, and gives a client whose calls carry their contexts.
func (b *Broker) DialClient(id uint32) (*rpc.Client, error) {
	conn, err := b.Dial(id)
	if err != nil {
		return nil, err
	}
	return NewCarryingClient(conn, b.serving.MaxMessage), nil
}

// NewCarryingClient gives a client whose calls carry their contexts, on a connection that it
// owns. max bounds each message, in bytes; zero does not.
func NewCarryingClient(conn net.Conn, max int) *rpc.Client {
	return NewClient(newStream(conn, nil, max, false).carry())
}

// readHeader reads the next request's header. What cancels others is done meanwhile.
func (s *service) readHeader() (header requestHeader, carried mux.Carried, err error) {
	for {
		header = requestHeader{}
		if err := mux.Decode(s.dec, &header); err != nil {
			return header, carried, err
		}
		if !header.Cancel {
			carried, err = mux.ReadCarried(header.Carried)
			return header, carried, err
		}
		if err := mux.Decode(s.dec, nil); err != nil {
			return header, carried, err
		}
		s.cancel(header.Seq)
	}
}

// cancel ends the context of a call, if it has one and is under way.
func (s *service) cancel(number uint64) {
	s.contexts.Lock()
	defer s.contexts.Unlock()
	if of := s.cancelable[number]; of != nil {
		of.cancel()
	}
}

// CallContext implements mux.ContextCodec. It is called once, before another request is
// read. The context has what the request carries, and ends when it is cancelled and with
// the connection.
func (r *request) CallContext() (context.Context, context.CancelFunc) {
	s := r.service
	ctx, cancel := r.carried.Context(s.ctx)
	r.cancel = cancel
	s.contexts.Lock()
	defer s.contexts.Unlock()
	if s.cancelable == nil {
		s.cancelable = make(map[uint64]*request)
	}
	s.cancelable[r.header.Seq] = r
	return ctx, func() {
		cancel()
		s.contexts.Lock()
		defer s.contexts.Unlock()
		if s.cancelable[r.header.Seq] == r {
			delete(s.cancelable, r.header.Seq)
		}
	}
}
