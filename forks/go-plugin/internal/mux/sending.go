// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/binary"
	"sync"
)

const (
	// maxShort is how many bytes a value may have that is not sent in parts.
	maxShort = 72 << 10
	// maxUnasked is how many bytes of parts, of all long messages together, a side may
	// have sent before the other one has granted them anything.
	maxUnasked = 256 << 10
	// partHead is more than a part has beside its payload: length, kind, two numbers.
	partHead = lengthSize + 1 + 2*10
	// partSize is how many bytes a part has, and maxPart up to how many while the
	// connection takes them fast.
	partSize = 64 << 10
	maxPart  = 256 << 10
	// lastPart is how many bytes more the last part may have: a few by themselves would cost
	// as much as many.
	lastPart = 16 << 10
)

// callKey names a call of a session.
type callKey struct{ channel, number uint64 }

// sendings are the long messages of a session that this side sends. The other side
// grants how much of each may be sent.
type sendings struct {
	out *outbox

	mu       sync.Mutex
	messages map[callKey]*sending // until all was sent, and something granted
	unasked  int                  // bytes of them that were let out before a grant
}

// sending is a long message on its way. The mutex of the sendings guards it.
type sending struct {
	of       *sendings
	key      callKey
	buffer   *buffer // its bytes are data from at on, and text; nil once nothing is left
	at       int
	text     []byte                     // where it is, which nobody writes to; nil: all is in buffer
	head     [partHead + plainHead]byte // what goes before some of text in a frame
	allowed  int                        // bytes that may be sent now
	unasked  int                        // bytes that were allowed before the first grant
	admitted bool                       // the first grant has come
	answer   bool                       // see outbox.unsent
	begun    bool                       // its first frame was put; an answer's
	stopped  bool                       // no more of it is to be sent
	frame    buffer                     // is being written; of is the message then
	finished bool                       // while a frame is being written
}

// start takes on a message, whose first frame goes before its parts. It reports false if
// there is one of the same call.
func (s *sendings) start(m *sending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages[m.key] != nil {
		return false
	}
	if s.messages == nil {
		s.messages = make(map[callKey]*sending)
	}
	m.of = s
	m.unasked = min(m.left(), maxUnasked-s.unasked)
	m.allowed = m.unasked
	s.unasked += m.unasked
	s.messages[m.key] = m
	return true
}

// grant lets the other side's grant take effect.
func (s *sendings) grant(key callKey, n uint64) {
	s.mu.Lock()
	m := s.messages[key]
	if m == nil {
		s.mu.Unlock()
		return // It was cancelled, or refused.
	}
	if !m.admitted {
		m.admitted = true
		s.unasked -= m.unasked
	}
	m.allowed += int(min(n, uint64(m.left()-m.allowed)))
	more := m.allowed > 0
	if m.left() == 0 {
		delete(s.messages, key)
	}
	s.mu.Unlock()
	if more {
		s.out.enlist(m)
	}
}

// finish forgets what the message holds, when no frame of it is being written.
func (m *sending) finish() {
	m.allowed = 0
	if m.finished = m.frame.of != nil; m.finished {
		return
	}
	m.buffer.recycle()
	m.buffer, m.text = nil, nil
}

// left is how many bytes are still to be sent.
func (m *sending) left() int {
	if m.buffer == nil || m.finished {
		return 0
	}
	return len(m.buffer.data) - m.at + len(m.text)
}

// part implements bulk.
func (m *sending) part(b *buffer, n int) (more bool) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	for n = min(n, m.allowed); n > 0; {
		frame, tail := m.next(min(n, partSize))
		b.data = append(append(b.data, frame...), tail...)
		n -= min(n, partSize)
	}
	if m.buffer != nil && m.left() == 0 {
		m.ends()
		m.finish()
	}
	return m.allowed > 0
}

// nextFrame is part without a copy, of one frame with at most n bytes, or lastPart more if that
// ends the message. The buffer is the connection's until it is recycled; only then nextFrame or
// part may be called again. It is nil if nothing can be sent now.
func (m *sending) nextFrame(n int) (b *buffer, more bool) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	if m.allowed == 0 {
		return nil, false
	}
	if n = min(n, m.allowed); m.allowed == m.left() && m.left()-n <= lastPart {
		n = m.left()
	}
	m.frame = buffer{of: m}
	m.frame.data, m.frame.tail = m.next(n)
	if m.left() == 0 {
		m.ends()
	}
	return &m.frame, m.allowed > 0
}

// next makes a frame of n bytes that are to be sent, where they are: its head takes the
// place of what was sent before. Of a text the frame has a head of its own, and tail is what goes
// behind it.
func (m *sending) next(n int) (frame, tail []byte) {
	k := kindPart
	if m.left() > n {
		k |= flagMore
	}
	b := buffer{data: make([]byte, 0, partHead)}
	b.begin(k, m.key.channel, m.key.number)
	binary.BigEndian.PutUint32(b.data, uint32(len(b.data)-lengthSize+n))
	m.allowed -= n
	if m.text != nil {
		own := m.buffer.data[m.at:]
		own = own[:min(n, len(own))]
		frame = append(append(m.head[:0], b.data...), own...)
		m.at += len(own)
		n -= len(own)
		tail, m.text = m.text[:n], m.text[n:]
		return frame, tail
	}
	from := m.at - len(b.data)
	copy(m.buffer.data[from:], b.data)
	m.at += n
	return m.buffer.data[from:m.at], nil
}

// ends notes that all of the message was sent.
func (m *sending) ends() {
	if m.admitted {
		delete(m.of.messages, m.key)
	}
	if m.answer {
		m.of.out.sentLast = true
	}
}

// written is called when the frame that nextFrame returned is written.
func (m *sending) written() {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	m.frame = buffer{}
	if m.finished || m.left() == 0 {
		m.finish()
	}
}
