// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// underWay is what a plugin knows of a call besides its request. The plugin's mu guards it.
type underWay struct {
	registered bool // it can be cancelled
	answered   bool // it counts as a long answer, and no more as a call
	cancelled  bool
	deadline   time.Time          // of a call that runs later; zero: none, or see CallContext
	end        context.CancelFunc // of its context; nil: nobody has asked for one
}

// CallContext implements ContextCodec. The context ends when the host cancels the call, when
// the time is up that the host has for it, and with the session.
func (w *worker) CallContext() (context.Context, context.CancelFunc) {
	p := w.plugin
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx := incoming(p.ctx, w.message.metadata)
	var end context.CancelFunc
	switch {
	case !w.under.deadline.IsZero():
		ctx, end = context.WithDeadline(ctx, w.under.deadline)
	case w.message.timeout > 0:
		ctx, end = context.WithTimeout(ctx, w.message.timeout) // It was read just now.
	default:
		ctx, end = context.WithCancel(ctx)
	}
	if w.under.end = end; w.under.cancelled {
		end()
	}
	return ctx, end
}

// registerLocked makes a call known that another goroutine than the reader's works on, so
// that it can be cancelled and counts among the calls under way.
func (p *Plugin) registerLocked(w *worker) {
	if w.under.registered {
		return
	}
	w.under.registered = true
	if w.service.running == nil {
		w.service.running = make(map[uint64]*worker)
	}
	w.service.running[w.message.number] = w
	if !w.under.answered {
		p.open++
	}
}

func (p *Plugin) register(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registerLocked(w)
}

// unregister ends that, before the host may use the call's number again. It reports
// whether the call was cancelled.
func (p *Plugin) unregister(w *worker) (cancelled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.under.registered {
		w.under.registered = false
		delete(w.service.running, w.message.number)
		if !w.under.answered {
			p.open--
		}
	}
	return w.under.cancelled
}

// answersLong makes a call one of the long answers, as which it counts until all of that was
// sent. It is never counted twice, nor not at all.
func (p *Plugin) answersLong(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.addUnsent()
	if w.under.answered = true; w.under.registered {
		p.open--
	}
}

func (p *Plugin) isCancelled(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return w.under.cancelled
}

// cancel gives up a call for the host. It is answered all the same, with as little as can
// be.
func (p *Plugin) cancel(key callKey) {
	p.mu.Lock()
	var w *worker
	if s := p.services[key.channel]; s != nil {
		w = s.running[key.number]
		w.cancelLocked()
	}
	p.mu.Unlock()
	p.dropLong(w)
	answer, cut := p.sent.stop(key)
	if cut {
		_ = p.out.say(givenUpAnswer(key), now) // If it fails, the session has ended.
	}
	p.sent.giveBack(answer)
}

// givenUpAnswer ends an answer that is not sent to its end, or not at all.
func givenUpAnswer(key callKey) *buffer {
	b := newMessage(kindFailure, key.channel, key.number)
	b.text(errCancelled.Error())
	b.finish(0)
	return b
}

// cancelLocked ends the context of a call. The worker may be nil.
func (w *worker) cancelLocked() {
	if w == nil {
		return
	}
	w.under.cancelled = true
	if w.under.end != nil {
		w.under.end()
	}
}

// dropLong refuses a cancelled call whose request has not come as a whole. The worker may
// be nil.
func (p *Plugin) dropLong(w *worker) {
	if w != nil && w.long != nil && p.come.drop(w.long.key) {
		go w.serve(unserved{errCancelled})
	}
}

// release forgets a channel. Nobody waits for its calls any more.
func (p *Plugin) release(channel uint64) {
	p.mu.Lock()
	s := p.services[channel]
	if s == nil {
		p.mu.Unlock()
		return
	}
	delete(p.services, channel)
	if channel > 0 && channel%2 == 0 {
		p.opened--
	}
	s.forgetNames()
	waiting := s.queue
	s.queue = nil
	var longs []*worker
	for _, w := range s.running {
		if w.cancelLocked(); w.long != nil {
			longs = append(longs, w)
		}
	}
	p.mu.Unlock()
	for _, w := range longs {
		p.dropLong(w)
	}
	for _, q := range waiting {
		q.giveUp()
	}
	p.sent.giveBack(p.sent.stopChannel(channel, true)...)
}

var (
	errCancelled    = errors.New("the host has given the call up")
	errTooManyCalls = errors.New("too many calls are under way in this session")
)

// refusalCode gives the code for why a call is not run.
func refusalCode(err error) uint64 {
	var tooLarge *TooLargeError
	switch {
	case errors.Is(err, errTooManyCalls):
		return refusedBusy
	case errors.Is(err, errCancelled):
		return refusedCancelled
	case errors.As(err, &tooLarge):
		return refusedTooLarge
	}
	return refusedUnserved
}

// maxControlCalls is how many calls more may be under way if they are of channel 0: pings
// are answered by a plugin that is busy.
const maxControlCalls = 64

// checkLocked says why the request at hand is not to be run, if so. An error of the peer
// ends the session.
func (w *worker) checkLocked() (refuse, malformed error) {
	p := w.plugin
	if w.service.running[w.message.number] != nil {
		return nil, fmt.Errorf("%w: call %d of channel %d is under way already", errMalformed, w.message.number, w.message.channel)
	}
	most := p.config.MaxCalls
	if w.message.channel == 0 {
		most += maxControlCalls
	}
	if p.config.MaxCalls > 0 && p.open+p.out.longAnswers() >= most {
		return fmt.Errorf("%w: at most %d are allowed (PLUGIN_MAX_CALLS)", errTooManyCalls, p.config.MaxCalls), nil
	}
	return nil, nil
}

// beginLong takes on the request whose first frame is at hand. The worker goes on reading;
// the call gets one of its own.
func (w *worker) beginLong() error {
	p := w.plugin
	own := &worker{plugin: p, message: w.message, service: w.service, method: w.method, refuse: w.refuse, under: w.under}
	own.state.Store(replaced)
	if own.refuse == nil {
		own.refuse = p.admitLong(own)
	}
	switch {
	case errors.Is(own.refuse, errMalformed):
		own.ends() // It ends the session, which waits for the calls of channel 0.
		return own.refuse
	case own.refuse != nil:
		own.serve(unserved{own.refuse})
	}
	return nil
}

// admitLong makes a long request expected, or says why not.
func (p *Plugin) admitLong(w *worker) error {
	long, err := p.come.begin(&w.message)
	if err != nil {
		return err
	}
	w.long, long.worker = long, w
	p.register(w)
	if ended := p.Err(); ended != nil && p.come.drop(long.key) {
		return ended // endArriving has not seen it.
	}
	return nil
}

// endArriving ends the calls whose requests will not come as a whole, as the session has
// ended.
func (p *Plugin) endArriving() {
	for _, long := range p.come.all() {
		if p.come.drop(long.key) {
			p.unregister(long.worker)
			long.worker.ends()
		}
	}
}

// takePart takes in the part at hand. A request that is complete is run.
func (p *Plugin) takePart(m *message) error {
	long, err := p.come.take(&p.in, m)
	if long == nil {
		return err
	}
	w := long.worker
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.service.rpc == nil {
		w.service.queue = append(w.service.queue, &queuedRequest{worker: w})
		return nil
	}
	go w.serve(w.service.rpc)
	return nil
}
