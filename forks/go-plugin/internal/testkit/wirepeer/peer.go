// SPDX-License-Identifier: MPL-2.0

// Package wirepeer is a host or a plugin with the feature mux, as PROTOCOL.md describes
// them. It is made from that document and the standard library alone, and shares no code
// with this module: where the two talk to each other, the document suffices.
//
// It is for tests: it bounds nothing, and takes no care to be fast.
package wirepeer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Kinds of frames, by their numbers in section 8.
const (
	request = iota + 1
	answer
	failure
	refused
	cancel
	part
	grant
	release
	open
	stream
	data
	credit
	end
	reset
	draining
	probe
	alive
	bye
	withdrawn
	accepts

	fresh = 0x80
	more  = 0x40
)

// frame is one that has come.
type frame struct {
	kind        byte
	fresh, more bool
	rest        []byte
}

func (f *frame) number() uint64 {
	n, size := binary.Uvarint(f.rest)
	f.rest = f.rest[max(size, 0):]
	return n
}

// text takes one that stands behind its length.
func (f *frame) text() string {
	n := min(f.number(), uint64(len(f.rest)))
	s := string(f.rest[:n])
	f.rest = f.rest[n:]
	return s
}

// appendText appends one behind its length.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// patience is how long a session may last before a test has failed.
const patience = time.Minute

// Peer is one side of a session. Its methods may be called from several goroutines.
type Peer struct {
	conn    net.Conn
	r       *bufio.Reader
	host    bool
	writing sync.Mutex
	ended   chan struct{}

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond
	err      error
	streams  map[uint64]*Stream
	number   uint64    // of the next stream that this side opens
	opened   []*Stream // by the other side, and not taken by a caller of Accept
	calls    map[id]*Call
	requests []*Call // that have come, and were not taken by a caller of Request
	incoming map[uint64]*values
	outgoing map[uint64]*encoder
	told     []string // what the other side said beside calls and streams
}

// start reads what comes, until the connection ends.
func start(conn net.Conn, r *bufio.Reader, host bool) *Peer {
	p := &Peer{conn: conn, r: r, host: host, ended: make(chan struct{}), number: 1, streams: map[uint64]*Stream{}, calls: map[id]*Call{},
		incoming: map[uint64]*values{}, outgoing: map[uint64]*encoder{}}
	if host {
		p.number = 2
	}
	p.changed = sync.NewCond(&p.mu)
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() {
		defer close(p.ended)
		var err error
		for err == nil {
			err = p.next()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
		p.changed.Broadcast()
		_ = conn.Close()
	}()
	return p
}

// Begin is one side of a session on a connection that is past its handshake.
func Begin(conn net.Conn, host bool) *Peer { return start(conn, bufio.NewReader(conn), host) }

// Close hangs up, and waits for the end of the session.
func (p *Peer) Close() { _ = p.conn.Close(); <-p.ended }

// Err is why the session has ended: io.EOF if the other side has hung up.
func (p *Peer) Err() error { <-p.ended; return p.err }

// next reads a frame and does what it says.
func (p *Peer) next() error {
	var length [4]byte
	if _, err := io.ReadFull(p.r, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 1 || n > 288<<10 {
		return fmt.Errorf("a frame of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return errors.Join(err, errors.New("in the middle of a frame"))
	}
	f := &frame{body[0] & 0x3f, body[0]&fresh != 0, body[0]&more != 0, body[1:]}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	switch ofHost := []byte{request, cancel, release, open, withdrawn, accepts}; {
	case p.host && slices.Contains(ofHost, f.kind), !p.host && slices.Contains([]byte{answer, failure, refused, draining}, f.kind):
		return fmt.Errorf("a frame of kind %d from this side", f.kind)
	}
	switch f.kind {
	case request, withdrawn:
		return p.takeRequest(f)
	case answer, failure, refused:
		return p.takeAnswer(f)
	case part, grant:
		return p.takePart(f)
	case stream, data, credit, end, reset:
		return p.takeStream(f)
	case cancel:
		p.told = append(p.told, fmt.Sprint("cancel ", f.number(), " ", f.number()))
	case release, accepts:
		p.told = append(p.told, fmt.Sprint(map[byte]string{release: "release ", accepts: "accepts "}[f.kind], f.number()))
	case open:
		p.told = append(p.told, fmt.Sprint("open ", f.number(), " ", string(f.rest)))
	case draining, alive:
		p.told = append(p.told, map[byte]string{draining: "draining", alive: "alive"}[f.kind])
	case probe:
		return p.send(alive, nil)
	case bye:
		return fmt.Errorf("bye: %s", f.rest)
	}
	return nil
}

// send sends a frame: a kind with its flags, numbers, and the rest.
func (p *Peer) send(kind byte, rest []byte, numbers ...uint64) error {
	body := []byte{kind}
	for _, n := range numbers {
		body = binary.AppendUvarint(body, n)
	}
	body = append(body, rest...)
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// Raw sends a frame of any kind, with its flags, also one that breaks the rules.
func (p *Peer) Raw(kind byte, rest []byte, numbers ...uint64) error {
	return p.send(kind, rest, numbers...)
}

// await waits with mu locked until ready says so, or the session has ended.
func (p *Peer) await(ready func() bool) error {
	for !ready() {
		if p.err != nil {
			return fmt.Errorf("the session has ended: %w", p.err)
		}
		p.changed.Wait()
	}
	return nil
}

// Told waits until the other side has said something beside calls and streams: "draining",
// "alive", "accepts ID", "cancel CHANNEL CALL", "release CHANNEL" or "open CHANNEL KIND".
func (p *Peer) Told(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.await(func() bool { return slices.Contains(p.told, what) })
}

// Probe asks whether the other side is there.
func (p *Peer) Probe() error { return p.send(probe, nil) }

// Drain says that the plugin is about to leave.
func (p *Peer) Drain() error { return p.send(draining, nil) }

// Open opens a channel of a kind, as a host may that knows the kind from the handshake.
func (p *Peer) Open(channel uint64, kind string) error { return p.send(open, []byte(kind), channel) }

// Release gives a channel up.
func (p *Peer) Release(channel uint64) error { return p.send(release, nil, channel) }

// Bye ends the session with a reason.
func (p *Peer) Bye(why string) error { return p.send(bye, []byte(why)) }

// Accepts tells a plugin that this host accepts what is dialled under a broker id.
func (p *Peer) Accepts(id uint64) error { return p.send(accepts, nil, id) }
