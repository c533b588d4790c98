// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// lane carries the calls of one stub on one session: a channel on which the
// plugin serves the stub's kind. It is opened by the first call, and ends with
// the session or the stub.
type lane struct {
	codec    *rpcCodec
	session  any
	endpoint string

	calls waitingCalls

	// sending is held while a request is sent, which neither answers nor
	// deadlines wait for. It guards what follows, and the field end of the calls
	// on the lane.
	sending sync.Mutex
	channel plugin.RPCChannel // nil until opened
	opened  chan struct{}     // closed when channel is set, or the lane has ended
	retired atomic.Bool       // takes no more calls, and ends with the last one; read by all
	err     error             // why it has ended
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

func newLane(c *rpcCodec, session any, endpoint string) *lane {
	l := &lane{codec: c, session: session, endpoint: endpoint, opened: make(chan struct{})}
	l.calls.expire = l.expire
	return l
}

// open asks the plugin for the channel, and reads from it until it ends.
func (l *lane) open() {
	session, ok := l.session.(RPCSession)
	if !ok {
		l.fail(fmt.Errorf("session of %s (%T) does not speak net/rpc", l.endpoint, l.session))
		return
	}
	channel, err := session.OpenRPC(l.codec.kind)
	if err != nil {
		l.fail(err)
		return
	}
	l.sending.Lock()
	if l.err != nil {
		l.sending.Unlock()
		_ = channel.Close()
		return
	}
	l.channel = channel
	close(l.opened)
	l.sending.Unlock()
	l.read(channel)
}

// send takes over the call and the lease, or says why not.
func (l *lane) send(k *call, lease balancer.Lease) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	switch {
	case l.err != nil:
		return laneEndedError{l.err}
	case l.retired.Load():
		return errLaneRetired
	case l.channel == nil:
		return errLaneBusy
	}
	k.lease = lease
	k.attempts++
	k.detour.attempt()
	l.calls.add(k) // before it is sent, as the answer may be quick
	end, err := l.channel.Send(k.service, k.seq, k.args)
	if err != nil {
		return l.dismiss(k, err)
	}
	k.end = end
	return nil
}

// dismiss gives a call back that was not sent. If its deadline came first, it
// has ended, and so there is nothing more to do with it. The caller holds
// sending.
func (l *lane) dismiss(k *call, err error) error {
	var unfit *plugin.RPCEncodeError
	isUnfit := errors.As(err, &unfit)
	mine := l.calls.take(k.seq) != nil
	if mine {
		k.lease = nil
		k.attempts--
		k.detour.unsent()
	}
	if isUnfit {
		// Let the calls on the lane end, and make new ones use another.
		l.retired.Store(true)
		l.codec.forget(l)
		l.closeIfIdle()
	}
	switch {
	case !mine:
		return nil
	case isUnfit:
		return encodeError{unfit.Err}
	case errors.Is(err, plugin.ErrChannelFull):
		return errLaneBusy
	}
	return laneEndedError{err}
}

// await waits until send has something else to say than errLaneBusy.
func (l *lane) await(ctx context.Context) error {
	select {
	case <-l.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.sending.Lock()
	channel, ended := l.channel, l.err != nil || l.retired.Load()
	l.sending.Unlock()
	if ended {
		return nil
	}
	if err := channel.Await(ctx); ctx.Err() != nil {
		return err
	}
	return nil // send says why the channel takes nothing, if so
}

// closeIfIdle is called when a call has been taken off the lane, or the lane was
// retired, which it is only once it has a channel.
func (l *lane) closeIfIdle() {
	if l.retired.Load() && l.calls.none() {
		_ = l.channel.Close() // read sees it, and ends the lane
	}
}
