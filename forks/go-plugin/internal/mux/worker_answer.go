// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"fmt"
	"net/rpc"
)

// WriteResponse answers, and ends the call.
func (w *worker) WriteResponse(r *rpc.Response, body any) error {
	p := w.plugin
	if w.state.Load() != reading && w.refuse == nil {
		w.method.latency.record(sinceStart() - w.began)
	}
	w.outputFirst()
	err := w.answer(r, body)
	w.answered = true
	if w.message.channel == 0 && p.config.Answered != nil {
		p.config.Answered(r.ServiceMethod)
	}
	w.ends()
	return err
}

// outputFirst sends what the method has written to the plugin's output. That may wait
// for the host, so another worker reads meanwhile.
func (w *worker) outputFirst() {
	p := w.plugin
	if w.message.channel == 0 || w.state.Load() == reading || w.refuse != nil || p.config.Barrier == nil || p.config.Barrier.Settled() {
		return
	}
	if w.replace() {
		p.newReader()
	}
	p.config.Barrier.Wait(context.Background())
}

func (w *worker) answer(r *rpc.Response, body any) error {
	s := w.service
	if w.state.Load() == replaced && w.plugin.isCancelled(w) {
		r.Error = errCancelled.Error()
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if r.Error == "" {
		b, long, err := w.encode(newMessage(kindAnswer, s.id, r.Seq), body)
		if long != nil {
			return w.putLong(b, long)
		}
		if err == nil {
			return w.put(b)
		}
		r.Error = CannotEncode(err)
	}
	if w.refuse != nil {
		b := newMessage(kindRefused, s.id, r.Seq, refusalCode(w.refuse))
		b.text(ClipError(r.Error, maxShort))
		b.finish(0)
		return w.put(b)
	}
	b := newMessage(kindFailure, s.id, r.Seq)
	start := len(b.data)
	b.text(ClipError(r.Error, bound(w.plugin.maxSend)))
	if len(b.data)-start > maxShort {
		b, long, err := inParts(b, start, w.plugin.maxSend)
		if err != nil {
			return err
		}
		return w.putLong(b, long)
	}
	b.finish(0)
	return w.put(b)
}

// encode appends an answer to the frame in b, with the service's lock. It unlocks
// meanwhile where the answer is likely to be long: others need not wait for that.
func (w *worker) encode(b *buffer, body any) (*buffer, *sending, error) {
	s := w.service
	likely := likelyLong(w.method.likely.Load())
	if likely > 0 || looksLong(body) {
		encoder := s.answers.takeApart()
		s.sending.Unlock()
		b, long, err := encoder.add(b, body, w.plugin.maxSend)
		s.sending.Lock()
		if err == nil {
			s.answers.keepApart(encoder, long.left())
			w.method.likely.Store(int32(likely.after(long.left())))
		}
		return b, long, err
	}
	b, long, err := s.answers.add(b, body, w.plugin.maxSend)
	if long != nil {
		w.method.likely.Store(int32(likely.after(long.left())))
	}
	return b, long, err
}

// putLong sends an answer in parts.
func (w *worker) putLong(first *buffer, long *sending) error {
	p := w.plugin
	long.key, long.answer = callKey{w.service.id, w.message.number}, true
	p.answersLong(w)
	if !p.sent.start(long) {
		err := fmt.Errorf("%w: call %d of channel %d is answered already", errMalformed, long.key.number, long.key.channel)
		p.fail(err)
		return err
	}
	if p.unregister(w) {
		p.sent.drop(long.key) // The host waits for no part of it.
		first.recycle()
		_, err := p.out.put(givenUpAnswer(long.key), now)
		return err
	}
	if _, err := p.out.put(first, later); err != nil {
		return err
	}
	if !p.sent.begin(long) { // It was given up just now.
		_, err := p.out.put(givenUpAnswer(long.key), now)
		return err
	}
	p.out.enlist(long)
	return nil
}

// put sends an answer. If the same goroutine has more requests at hand, their
// answers leave together.
func (w *worker) put(b *buffer) error {
	if w.state.Load() == replaced {
		w.plugin.unregister(w)
	}
	when := now
	if w.backlog && w.state.Load() == calling && len(b.data) < largeAnswer {
		when = later
	}
	_, err := w.plugin.out.put(b, when)
	return err
}

// largeAnswer is from what size on an answer does not wait for others, in bytes.
const largeAnswer = 4 << 10
