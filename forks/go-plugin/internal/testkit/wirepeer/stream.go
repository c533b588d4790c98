// SPDX-License-Identifier: MPL-2.0

package wirepeer

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// Stream is one inside a session. It is a net.Conn without deadlines.
type Stream struct {
	ID      uint64
	Purpose byte
	Header  []byte // of the purpose

	p     *Peer
	in    []byte
	room  int    // how much may come
	may   int    // how much may be sent
	owned bool   // the other side has granted something
	eof   bool   // the other side has ended its half
	done  bool   // this side has
	why   string // of a reset
	over  bool   // reset, by either side
}

// Purposes of streams.
const (
	Brokered = 1
	Output   = 2
	HTTP2    = 3
	Streamed = 4
	Unary    = 5
)

const firstCredit = 16 << 10

func (p *Peer) takeStream(f *frame) error {
	number := f.number()
	s := p.streams[number]
	if f.kind == stream {
		if s != nil || (number%2 == 0) == p.host || len(f.rest) == 0 {
			return fmt.Errorf("stream %d was opened", number)
		}
		s = &Stream{ID: number, Purpose: f.rest[0], Header: f.rest[1:], p: p, room: firstCredit, may: firstCredit}
		p.streams[number], p.opened = s, append(p.opened, s)
		return nil
	}
	if s == nil {
		return fmt.Errorf("a frame of kind %d for stream %d, which never was", f.kind, number)
	}
	switch {
	case s.over || s.eof && s.done: // ignored
	case f.kind == data && (s.eof || len(f.rest) > s.room):
		return fmt.Errorf("%d bytes for stream %d, which has ended or has room for %d", len(f.rest), number, s.room)
	case f.kind == data:
		s.in, s.room = append(s.in, f.rest...), s.room-len(f.rest)
	case f.kind == credit:
		s.may, s.owned = s.may+int(f.number()), true
	case f.kind == end && s.eof:
		return fmt.Errorf("stream %d ends twice", number)
	case f.kind == end:
		s.eof = true
	case f.kind == reset:
		s.over, s.why = true, string(f.rest)
	}
	return nil
}

// OpenStream opens one, with the header of its purpose.
func (p *Peer) OpenStream(purpose byte, header []byte) (*Stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock() // until it is sent: numbers grow on the connection
	s := &Stream{ID: p.number, Purpose: purpose, Header: header, p: p, room: firstCredit, may: firstCredit}
	p.number += 2
	p.streams[s.ID] = s
	return s, p.send(stream, append([]byte{purpose}, header...), s.ID)
}

// Dial opens a brokered stream, and waits until the other side has accepted it.
func (p *Peer) Dial(brokerID uint64) (*Stream, error) {
	s, err := p.OpenStream(Brokered, binary.AppendUvarint(nil, brokerID))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.await(func() bool { return s.owned || s.over }); err != nil || s.over {
		return nil, fmt.Errorf("dial %d: reset because %q, %v", brokerID, s.why, err)
	}
	return s, nil
}

// AcceptStream waits for a stream that the other side opens, and owns it.
func (p *Peer) AcceptStream(purpose byte) (*Stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s *Stream
	err := p.await(func() bool {
		for i, one := range p.opened {
			if one.Purpose == purpose {
				s = one
				p.opened = append(p.opened[:i:i], p.opened[i+1:]...)
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	return s, p.send(credit, nil, s.ID, 0)
}

// BrokerID is that of a brokered stream.
func (s *Stream) BrokerID() uint64 { return (&frame{rest: s.Header}).number() }

// Read implements net.Conn. What was read is granted again.
func (s *Stream) Read(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if err := s.p.await(func() bool { return len(s.in) > 0 || s.eof || s.over }); err != nil {
		return 0, err
	}
	switch {
	case len(s.in) > 0:
	case s.eof: // also if a reset came after it
		return 0, io.EOF
	default:
		return 0, fmt.Errorf("reset: %s", s.why)
	}
	n := copy(b, s.in)
	s.in, s.room = s.in[n:], s.room+n
	if s.eof || s.over {
		return n, nil
	}
	return n, s.p.send(credit, nil, s.ID, uint64(n))
}

// Write implements net.Conn.
func (s *Stream) Write(b []byte) (n int, err error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for n < len(b) {
		if err := s.p.await(func() bool { return s.may > 0 || s.over || s.done }); err != nil {
			return n, err
		}
		if s.over || s.done {
			return n, fmt.Errorf("the stream has ended: %q", s.why)
		}
		k := min(len(b)-n, s.may, 64<<10)
		if err := s.p.send(data, b[n:n+k], s.ID); err != nil {
			return n, err
		}
		n, s.may = n+k, s.may-k
	}
	return n, nil
}

// AwaitReset waits until the other side has reset the stream, and gives the reason.
func (s *Stream) AwaitReset() (string, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	err := s.p.await(func() bool { return s.over })
	return s.why, err
}

// CloseWrite says that nothing more is written.
func (s *Stream) CloseWrite() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.done || s.over {
		return nil
	}
	s.done = true
	return s.p.send(end, nil, s.ID)
}

// Reset ends both directions.
func (s *Stream) Reset(why string) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.over || s.done && s.eof {
		return nil
	}
	s.over = true
	s.p.changed.Broadcast()
	return s.p.send(reset, []byte(why), s.ID)
}

// Close implements net.Conn.
func (s *Stream) Close() error {
	if err := s.CloseWrite(); err != nil {
		return err
	}
	return s.Reset("closed")
}

// LocalAddr implements net.Conn.
func (s *Stream) LocalAddr() net.Addr { return s.p.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (s *Stream) RemoteAddr() net.Addr { return s.p.conn.RemoteAddr() }

// SetDeadline implements net.Conn, and does nothing.
func (*Stream) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn, and does nothing.
func (*Stream) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn, and does nothing.
func (*Stream) SetWriteDeadline(time.Time) error { return nil }

// Piece reads one of the plugin's output: 1 for stdout, 2 for stderr, and bytes.
func (s *Stream) Piece() (of byte, text string, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return 0, "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	_, err = io.ReadFull(s, b)
	return head[4], string(b), err
}

// SendPiece sends one of the plugin's output.
func (s *Stream) SendPiece(of byte, text string) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(text)))
	_, err := s.Write(append(append(b, of), text...))
	return err
}
