// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"bufio"
	"cmp"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"reflect"
)

// source is a connection that remembers its error: gob does not say whether
// the connection failed or the value did.
type source struct {
	net.Conn
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// laneReader decodes the answers on a lane.
type laneReader struct {
	*lane
	src    *source
	dec    *gob.Decoder
	header rpc.Response // decoded last; kept for its memory
}

// read takes answers until the stream ends.
func (l *lane) read(conn net.Conn) {
	src := &source{Conn: conn}
	r := &laneReader{lane: l, src: src, dec: gob.NewDecoder(bufio.NewReader(src))}
	for {
		if err := r.next(); err != nil {
			l.fail(err)
			return
		}
	}
}

// next takes one answer. An error means that the stream has ended.
func (r *laneReader) next() error {
	response := &r.header
	*response = rpc.Response{}
	if err := r.dec.Decode(response); err != nil {
		return err
	}
	k := r.peek(response.Seq)
	if k != nil && !k.known && response.Error == "" {
		return r.handOver(response.Seq)
	}
	var target reflect.Value // invalid: skip the body
	var useless error
	if k != nil && response.Error == "" && k.reply != nil {
		if k.reply.Kind() == reflect.Pointer {
			target = reflect.New(k.reply.Elem())
		} else {
			useless = fmt.Errorf("the caller's reply is %v, not a pointer", k.reply)
		}
	}
	err := r.dec.DecodeValue(target)
	if err != nil && r.src.err != nil {
		return err // the call is on the lane still, and shares its fate
	}
	if k = r.take(response.Seq); k == nil {
		return nil // too late
	}
	r.settle(k, response, target, cmp.Or(useless, err))
	return nil
}

// settle ends a call that was answered. unreadable is why the answer is not
// what the caller expects.
func (r *laneReader) settle(k *call, response *rpc.Response, target reflect.Value, unreadable error) {
	endpoint := r.answered(k)
	switch {
	case response.Error != "":
		r.codec.finish(k, endpoint, rpc.ServerError(response.Error), answer{seq: k.seq, fault: response.Error})
	case unreadable != nil:
		r.codec.fault(k, &Fault{Reason: ReasonAnswer, Endpoint: endpoint, Method: k.method, MayHaveRun: true, Err: unreadable})
	case target.IsValid():
		r.codec.finish(k, endpoint, nil, answer{seq: k.seq, value: target.Elem()})
	default:
		r.codec.finish(k, endpoint, nil, answer{seq: k.seq})
	}
}

// handOver lets the client decode the body of an answer itself.
func (r *laneReader) handOver(seq uint64) error {
	k := r.take(seq)
	if k == nil {
		return r.dec.DecodeValue(reflect.Value{})
	}
	endpoint := r.answered(k)
	decoded := make(chan error, 1)
	r.codec.finish(k, endpoint, nil, answer{seq: seq, decode: func(body any) error {
		err := r.dec.Decode(body)
		decoded <- err
		return err
	}})
	select {
	case err := <-decoded:
		return err
	case <-r.codec.ctx.Done():
		return errStubClosed
	}
}

// answered gives the lease of a call back.
func (l *lane) answered(k *call) (endpoint string) {
	if l.codec.latest.Load() != l {
		l.codec.latest.Store(l)
	}
	endpoint = k.lease.Endpoint()
	k.lease.Done(Answered)
	return endpoint
}

func (l *lane) peek(seq uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[seq]
}

// take makes the caller the owner of a call, or returns nil if it has one.
func (l *lane) take(seq uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.calls[seq]
	if k == nil {
		return nil
	}
	delete(l.calls, seq)
	k.timer.Stop()
	l.closeIfIdleLocked()
	return k
}

// expire ends a call that was not answered in time. Its answer, if it still
// comes, finds no call.
func (l *lane) expire(seq uint64) {
	k := l.take(seq)
	if k == nil {
		return
	}
	endpoint := k.lease.Endpoint()
	k.lease.Done(TimedOut)
	l.codec.fault(k, &Fault{Reason: ReasonTimeout, Endpoint: endpoint, Method: k.method, MayHaveRun: true})
}

// fail ends the lane and what is on it, once.
func (l *lane) fail(err error) {
	if errors.Is(err, io.EOF) && l.codec.ctx.Err() == nil {
		err = errHungUp
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	calls, taken, conn := l.calls, l.taken, l.conn
	l.calls, l.out.data = nil, nil
	l.changedLocked()
	l.mu.Unlock()

	l.codec.forget(l)
	if conn != nil {
		_ = conn.Close()
	}
	for _, k := range calls {
		k.timer.Stop()
		l.codec.lost(k, k.end <= taken, err)
	}
}

var errHungUp = errors.New("the plugin hung up")
