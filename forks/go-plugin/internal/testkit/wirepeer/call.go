// SPDX-License-Identifier: MPL-2.0

package wirepeer

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
)

// id is that of a call: its channel and its own number.
type id struct{ channel, call uint64 }

// Call is one of net/rpc: one that this host makes, or one that has come to this plugin.
type Call struct {
	Channel, Number uint64
	Method          string
	Timeout         uint64 // of a request that has come, in µs
	Metadata        []string
	Withdrawn       bool // it was given up before it was sent

	p       *Peer
	kind    byte // of the answer that has come; 0: none
	code    uint64
	size    uint64 // of the value that comes in parts
	value   *values
	place   int // of the value among those of its stream
	whole   bool
	granted int // bytes that this side may send of a long value
}

// values is a gob stream of values that have come, from its beginning.
type values struct {
	data []byte
	n    int
}

// encoder is a gob stream of values that are sent.
type encoder struct {
	buf bytes.Buffer
	*gob.Encoder
}

// take makes what stands in a frame, or comes in the parts after it, the value of the call.
func (c *Call) take(f *frame, channels map[uint64]*values) error {
	if f.more {
		c.value, c.place, c.size = &values{}, 0, f.number()
		return c.p.send(grant, nil, c.Channel, c.Number, c.size)
	}
	c.whole, c.value = true, &values{}
	if f.kind != failure && f.kind != refused {
		if f.fresh || channels[c.Channel] == nil {
			channels[c.Channel] = &values{}
		}
		c.value = channels[c.Channel]
	}
	c.place = c.value.n
	c.value.n++
	c.value.data = append(c.value.data, f.rest...)
	return nil
}

func (p *Peer) takeRequest(f *frame) error {
	c := &Call{p: p, Channel: f.number(), Number: f.number(), Timeout: f.number(), Withdrawn: f.kind == withdrawn}
	for range 2 * f.number() {
		c.Metadata = append(c.Metadata, f.text())
	}
	c.Method = f.text()
	p.calls[id{c.Channel, c.Number}] = c
	p.requests = append(p.requests, c)
	if f.more && c.Withdrawn {
		c.whole = true
		return nil
	}
	return c.take(f, p.incoming)
}

func (p *Peer) takeAnswer(f *frame) error {
	which := id{f.number(), f.number()}
	c := p.calls[which]
	if isCut := f.kind == failure && c != nil && !c.whole; c == nil || c.kind != 0 && !isCut {
		return fmt.Errorf("an answer to call %v, which was not made", which)
	}
	if c.kind = f.kind; f.kind == refused {
		c.code = f.number()
	}
	return c.take(f, p.incoming)
}

func (p *Peer) takePart(f *frame) error {
	which := id{f.number(), f.number()}
	c := p.calls[which]
	if c == nil {
		return fmt.Errorf("a part or grant for call %v, which was not made", which)
	}
	if f.kind == grant {
		c.granted += int(f.number())
		return nil
	}
	c.value.data = append(c.value.data, f.rest...)
	c.whole = !f.more
	if c.whole != (uint64(len(c.value.data)) == c.size) {
		return fmt.Errorf("%d of %d bytes have come, and this is the last: %v", len(c.value.data), c.size, c.whole)
	}
	return nil
}

// Decode gives what has come: the arguments on a plugin, the reply on a host.
func (c *Call) Decode(v any) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if err := c.p.await(func() bool { return c.whole }); err != nil {
		return err
	}
	dec := gob.NewDecoder(bytes.NewReader(c.value.data))
	for range c.place {
		if err := dec.DecodeValue(reflect.Value{}); err != nil {
			return err
		}
	}
	return dec.Decode(v)
}

// Failed is the failure or refusal of a call, in words; empty if it has a reply.
func (c *Call) Failed() (string, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if err := c.p.await(func() bool { return c.whole && c.kind != 0 }); err != nil {
		return "", err
	}
	switch c.kind {
	case failure:
		return string(c.value.data), nil
	case refused:
		return fmt.Sprintf("refused (%d): %s", c.code, c.value.data), nil
	}
	return "", nil
}

// sendValue sends a frame with a value: as one of the channel's gob stream, or in parts.
func (p *Peer) sendValue(c *Call, kind byte, head []byte, v any) error {
	var own bytes.Buffer // what the value is by itself
	if text, ok := v.(errorText); ok {
		own.WriteString(string(text))
	} else if err := gob.NewEncoder(&own).Encode(v); err != nil {
		return err
	}
	if own.Len() > 72<<10 {
		return p.sendParts(c, kind, head, own.Bytes())
	}
	if kind == failure {
		return p.send(kind, append(head, own.Bytes()...), c.Channel, c.Number)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	enc := p.outgoing[c.Channel]
	if enc == nil {
		enc = new(encoder)
		enc.Encoder = gob.NewEncoder(&enc.buf)
		p.outgoing[c.Channel], kind = enc, kind|fresh
	}
	enc.buf.Reset()
	if err := enc.Encode(v); err != nil {
		return err
	}
	return p.send(kind, append(head, enc.buf.Bytes()...), c.Channel, c.Number)
}

// sendParts sends 256 KiB of a value, and of the rest what is granted.
func (p *Peer) sendParts(c *Call, kind byte, head, value []byte) error {
	if err := p.send(kind|more, binary.AppendUvarint(head, uint64(len(value))), c.Channel, c.Number); err != nil {
		return err
	}
	for sent := 0; sent < len(value); {
		p.mu.Lock()
		err := p.await(func() bool { return sent < 256<<10+c.granted })
		n := min(len(value)-sent, 256<<10+c.granted-sent, 50_000)
		p.mu.Unlock()
		kind := byte(part | more)
		if sent+n == len(value) {
			kind = part
		}
		if err = errors.Join(err, p.send(kind, value[sent:sent+n], c.Channel, c.Number)); err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// Go sends a request without metadata that its host waits for as long as it takes.
func (p *Peer) Go(channel, number uint64, method string, args any) (*Call, error) {
	return p.sendRequest(request, channel, number, method, args)
}

// GoWithdrawn is Go of a request that was given up before it was sent.
func (p *Peer) GoWithdrawn(channel, number uint64, method string, args any) (*Call, error) {
	return p.sendRequest(withdrawn, channel, number, method, args)
}

func (p *Peer) sendRequest(kind byte, channel, number uint64, method string, args any) (*Call, error) {
	c := &Call{p: p, Channel: channel, Number: number}
	p.mu.Lock()
	p.calls[id{channel, number}] = c
	p.mu.Unlock()
	return c, p.sendValue(c, kind, appendText([]byte{0, 0}, method), args)
}

// Call makes a call and waits for its reply.
func (p *Peer) Call(channel, number uint64, method string, args, reply any) error {
	c, err := p.Go(channel, number, method, args)
	if err != nil {
		return err
	}
	if text, err := c.Failed(); err != nil || text != "" {
		return errors.Join(err, errors.New(text))
	}
	return c.Decode(reply)
}

// Cancel says that nobody waits for the call any more.
func (c *Call) Cancel() error { return c.p.send(cancel, nil, c.Channel, c.Number) }

// Request waits for a request, and takes it.
func (p *Peer) Request() (*Call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.await(func() bool { return len(p.requests) > 0 }); err != nil {
		return nil, err
	}
	c := p.requests[0]
	p.requests = p.requests[1:]
	return c, nil
}

// Reply answers a request.
func (c *Call) Reply(v any) error { return c.p.sendValue(c, answer, nil, v) }

// errorText is that of a failure, which is no gob.
type errorText string

// Fail answers a request by a failure.
func (c *Call) Fail(text string) error { return c.p.sendValue(c, failure, nil, errorText(text)) }

// Refuse says that a request was not run.
func (c *Call) Refuse(code uint64, text string) error {
	return c.p.send(refused, []byte(text), c.Channel, c.Number, code)
}
