// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"sync"
	"time"
)

// A lane that holds this many bytes which the connection has not taken is
// full.
const laneBuffer = 256 << 10

// lane carries the calls of one stub on one session: a stream on which the
// plugin serves the stub's kind. It is opened by the first call, and ends with
// the session or the stub.
type lane struct {
	codec    *rpcCodec
	session  any
	endpoint string

	mu      sync.Mutex
	conn    net.Conn // nil until opened
	enc     *gob.Encoder
	header  rpc.Request // encoded last; kept for its memory
	out     outbox
	spare   []byte
	taken   uint64 // where out begins in the stream: the connection was given all before
	writing bool   // a goroutine is in write
	changed chan struct{}
	calls   map[uint64]*call // nil once ended
	retired bool             // takes no more calls, and ends with the last one
	err     error            // why it has ended
}

// Reasons why a lane does not take a call. The call was not sent then.
var (
	// errLaneBusy: it is being opened, or full. Wait for it to change.
	errLaneBusy = errors.New("busy")
	// errLaneRetired: the session has another lane by now.
	errLaneRetired = errors.New("retired")
	errLaneSlow    = fmt.Errorf("endpoint does not take requests (waited %v)", laneWait)
)

// laneEndedError is a lane that was used after its end.
type laneEndedError struct{ error }

func (e laneEndedError) Unwrap() error { return e.error }

// encodeError is a request that no lane can send.
type encodeError struct{ error }

func (e encodeError) Unwrap() error { return e.error }

// isFinal reports whether sending elsewhere would fail as well.
func isFinal(err error) bool {
	var final encodeError
	return errors.As(err, &final)
}

// outbox collects what the encoder writes.
type outbox struct{ data []byte }

func (o *outbox) Write(p []byte) (int, error) {
	o.data = append(o.data, p...)
	return len(p), nil
}

func newLane(c *rpcCodec, session any, endpoint string) *lane {
	return &lane{codec: c, session: session, endpoint: endpoint, calls: map[uint64]*call{}}
}

// open asks the plugin for the stream, and reads from it until it ends.
func (l *lane) open() {
	session, ok := l.session.(RPCSession)
	if !ok {
		l.fail(fmt.Errorf("session of %s (%T) does not speak net/rpc", l.endpoint, l.session))
		return
	}
	conn, err := session.OpenRPC(l.codec.kind)
	if err != nil {
		l.fail(err)
		return
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		_ = conn.Close()
		return
	}
	l.conn = conn
	l.enc = gob.NewEncoder(&l.out)
	l.changedLocked()
	l.mu.Unlock()
	l.read(conn)
}

// send takes over the call and the lease, or says why not.
func (l *lane) send(k *call, lease Lease) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return laneEndedError{l.err}
	case l.retired:
		return errLaneRetired
	case l.busyLocked():
		return errLaneBusy
	}
	start := len(l.out.data)
	if err := l.encodeLocked(k); err != nil {
		// The encoder may believe that it has described types which nobody
		// will get to see.
		l.out.data = l.out.data[:start]
		l.retireLocked()
		return encodeError{err}
	}
	k.lease = lease
	k.search.attempts++
	k.end = l.taken + uint64(len(l.out.data))
	k.timer = time.AfterFunc(time.Until(k.began.Add(k.options.Timeout)), func() { l.expire(k.seq) })
	l.calls[k.seq] = k
	if !l.writing {
		l.writing = true
		go l.write()
	}
	return nil
}

// encodeLocked appends a request. gob panics at a nil pointer, and types that
// encode themselves may panic at anything.
func (l *lane) encodeLocked(k *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	l.header = rpc.Request{ServiceMethod: k.service, Seq: k.seq}
	if err := l.enc.Encode(&l.header); err != nil {
		return err
	}
	return l.enc.Encode(k.args)
}

// write gives the connection what has collected, until there is no more.
func (l *lane) write() {
	for {
		l.mu.Lock()
		if len(l.out.data) == 0 || l.err != nil {
			l.writing = false
			l.mu.Unlock()
			return
		}
		batch := l.out.data
		l.out.data, l.spare = l.spare[:0], nil
		l.taken += uint64(len(batch))
		l.changedLocked()
		l.mu.Unlock()

		if _, err := l.conn.Write(batch); err != nil {
			l.fail(err)
			return
		}
		if cap(batch) <= laneBuffer {
			l.mu.Lock()
			l.spare = batch
			l.mu.Unlock()
		}
	}
}

func (l *lane) busyLocked() bool { return l.enc == nil || len(l.out.data) >= laneBuffer }

// await waits until send has something else to say than errLaneBusy.
func (l *lane) await(ctx context.Context) error {
	l.mu.Lock()
	if l.err != nil || l.retired || !l.busyLocked() {
		l.mu.Unlock()
		return nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	changed := l.changed
	l.mu.Unlock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// changedLocked wakes those who wait.
func (l *lane) changedLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// retireLocked lets the calls on the lane end and makes new ones use another.
func (l *lane) retireLocked() {
	l.retired = true
	l.changedLocked()
	l.codec.forget(l)
	l.closeIfIdleLocked()
}

func (l *lane) closeIfIdleLocked() {
	if l.retired && len(l.calls) == 0 {
		_ = l.conn.Close() // read sees it, and ends the lane
	}
}
