// SPDX-License-Identifier: MPL-2.0

package mux

import "sync"

const (
	// maxShort is how many bytes a value may have that is not sent in parts.
	maxShort = 16 << 10
	// maxUnasked is how many bytes of parts, of all long messages together, a side may
	// have sent before the other one has granted them anything.
	maxUnasked = 256 << 10
	// partHead is more than a part has beside its payload: length, kind, two numbers.
	partHead = lengthSize + 1 + 2*10
	partSize = maxFrame - partHead
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
	data     []byte  // what is left of it
	buffer   *buffer // that data is of; nil once nothing is left
	allowed  int     // bytes that may be sent now
	unasked  int     // bytes that were allowed before the first grant
	admitted bool    // the first grant has come
	answer   bool    // see outbox.unsent
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
	m.unasked = min(len(m.data), maxUnasked-s.unasked)
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
	m.allowed += int(min(n, uint64(len(m.data)-m.allowed)))
	more := m.allowed > 0
	if len(m.data) == 0 {
		delete(s.messages, key)
	}
	s.mu.Unlock()
	if more {
		s.out.enlist(m)
	}
}

// drop ends a message of which no more is to be sent, if there is one.
func (s *sendings) drop(key callKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[key]
	if m == nil {
		return
	}
	delete(s.messages, key)
	if !m.admitted {
		s.unasked -= m.unasked
	}
	if m.buffer != nil {
		m.finish()
		if m.answer {
			s.out.dropUnsent()
		}
	}
}

// dropChannel ends the messages of a channel.
func (s *sendings) dropChannel(channel uint64) {
	s.mu.Lock()
	var keys []callKey
	for key := range s.messages {
		if key.channel == channel {
			keys = append(keys, key)
		}
	}
	s.mu.Unlock()
	for _, key := range keys {
		s.drop(key)
	}
}

// finish forgets what the message holds.
func (m *sending) finish() {
	m.buffer.recycle()
	m.buffer, m.data, m.allowed = nil, nil, 0
}

// part implements bulk.
func (m *sending) part(b *buffer, n int) (more bool) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	for n = min(n, m.allowed); n > 0; {
		size := min(n, partSize)
		k := kindPart
		if len(m.data) > size {
			k |= flagMore
		}
		start := b.begin(k, m.key.channel, m.key.number)
		b.data = append(b.data, m.data[:size]...)
		b.finish(start)
		n -= size
		m.allowed -= size
		m.data = m.data[size:]
	}
	if len(m.data) == 0 && m.buffer != nil {
		m.finish()
		if m.admitted {
			delete(m.of.messages, m.key)
		}
		if m.answer {
			m.of.out.sentLast = true
		}
	}
	return m.allowed > 0
}
