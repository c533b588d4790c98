// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// sessionChannel carries the calls of one stub on one session: a channel on which the
// plugin serves the stub's kind. The first call opens it; it ends with the session or
// the stub.
type sessionChannel struct {
	codec    *rpcCodec
	session  any
	endpoint string
	opened   chan struct{} // closed when channel is set, or err is
	value    reflect.Value // a pointer to what an answer is decoded into; read alone uses it

	// waiting ends with what senders write for each call, as what follows is. What answers
	// are read with stands before it, so that the two sides share no line of a cache.
	waiting waitingCalls

	// sending is held while a request is sent, which neither answers nor deadlines
	// wait for. It guards what follows. Whoever has a call that was sent may read channel.
	sending sync.Mutex
	channel plugin.RPCChannel            // nil until opened; never changed again
	ahead   atomic.Pointer[aheadEncoder] // the channel, once it is set, if it is one
	err     error                        // why it has ended
	// owed is the last request that was sent here and is remembered; nil if none was.
	owed atomic.Pointer[owedTurn]
}

// Reasons why a session channel does not take a call. The call was not sent then.
var (
	errBusy = errors.New("busy") // being opened, or full: wait for it to change
	errSlow = fmt.Errorf("endpoint does not take requests (waited %v)", channelWait)

	errCrowded = fmt.Errorf("%d calls wait for the endpoint's answers", maxWaiting)
)

var errHungUp = errors.New("the plugin hung up")

func newSessionChannel(c *rpcCodec, session any, endpoint string) *sessionChannel {
	s := &sessionChannel{codec: c, session: session, endpoint: endpoint, opened: make(chan struct{})}
	s.waiting.init(c.now, s.expire)
	return s
}

// run asks the plugin for the channel, and reads from it until it ends.
func (s *sessionChannel) run() {
	session, ok := s.session.(RPCSession)
	if !ok {
		s.fail(fmt.Errorf("session of %s (%T) does not speak net/rpc", s.endpoint, s.session))
		return
	}
	channel, err := session.OpenRPC(s.codec.kind)
	if err != nil {
		s.fail(err)
		return
	}
	s.sending.Lock()
	if s.err != nil {
		s.sending.Unlock()
		_ = channel.Close()
		return
	}
	s.channel = channel
	if ahead, ok := channel.(aheadEncoder); ok {
		s.ahead.Store(&ahead)
	}
	close(s.opened)
	s.sending.Unlock()
	s.fail(s.read(channel))
}

// aheadEncoder is a channel that can encode long arguments while others send. It returns nil
// for arguments that are not likely to be long. Else what encode gives is sent in
// their place, once.
type aheadEncoder interface {
	EncodeAhead(method string, args any) (encode func(args any) any)
}

// encoder returns what encodes the arguments of a call before they are sent, or nil.
func (s *sessionChannel) encoder(k *call) (encode func(args any) any) {
	if ahead := s.ahead.Load(); ahead != nil {
		return (*ahead).EncodeAhead(k.name, k.args)
	}
	return nil
}

// send takes over the call and the lease, or says why not. args are those of the call, or
// what an encoder has made of them.
func (s *sessionChannel) send(k *call, lease balancer.Lease, args any) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case s.channel == nil:
		return errBusy
	case k.hasEnded():
		return context.Cause(k.within.Context)
	case !Hand(lease):
		return errLeft
	}
	k.lease = lease
	k.attempt()
	request := k.request()
	if k.end.Load() != 0 { // on another channel
		k.end.Store(0)
	}
	var mine *turnLease
	if k.options.Replay {
		mine = awaitsAnswer(lease)
	}
	err := errCrowded
	if s.waiting.add(k) { // before it is sent, as the answer may be quick
		request.Number = k.number
		if mine != nil {
			s.owed.Store(&owedTurn{request.Number, mine})
		}
		if k.within != nil {
			k.within.on.Store(&place{s, k.number})
		}
		var end uint64
		if end, err = s.channel.Send(request, args); err == nil {
			s.sent(k, request.Number, end)
			return nil
		}
		if s.waiting.take(request.Number) == nil {
			s.settled(request.Number)
			return nil // its deadline came first, and has ended it
		}
	}
	k.lease = nil
	k.attempts--
	k.notSent()
	if errors.Is(err, plugin.ErrChannelFull) {
		return errBusy
	}
	return err
}

// sent notes where a request ends. A call that was given up while it was sent, or before
// this channel could be told, is given up now.
func (s *sessionChannel) sent(k *call, number, end uint64) {
	k.end.Store(end)
	switch {
	case k.givenUp.Load():
		if s.channel.Cancel(number) {
			s.settled(number)
		}
	case k.hasEnded():
		s.cancel(number)
	}
}

// await waits until send has something else to say than errBusy.
func (s *sessionChannel) await(ctx context.Context) error {
	select {
	case <-s.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.sending.Lock()
	channel := s.channel
	s.sending.Unlock()
	if channel == nil {
		return nil // it has ended
	}
	if err := channel.Await(ctx); ctx.Err() != nil {
		return err
	}
	return nil // send says why the channel takes nothing, if so
}

// fail ends the channel and what waits on it, once.
func (s *sessionChannel) fail(err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) && s.codec.ctx.Err() == nil {
		err = errHungUp
	}
	// Not before a call that is being sent is, so that it is known where each ends.
	s.sending.Lock()
	if s.err != nil {
		s.sending.Unlock()
		return
	}
	s.err = err
	if s.channel == nil {
		close(s.opened)
	}
	calls, channel := s.waiting.takeAll(), s.channel
	s.sending.Unlock()

	s.codec.forget(s)
	var taken uint64
	if channel != nil {
		_ = channel.Close()
		taken = channel.Taken()
	}
	for _, k := range calls {
		s.codec.lost(k, k.end.Load() <= taken, err)
	}
	if owed := s.owed.Load(); owed != nil {
		s.settled(owed.number)
	}
}

// expire ends the calls that were not answered in time. Their answers, if they
// still come, find no call.
func (s *sessionChannel) expire() {
	for _, k := range s.waiting.takeExpired() {
		s.giveUp(k)
	}
}
