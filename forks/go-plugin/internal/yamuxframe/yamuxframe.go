// SPDX-License-Identifier: MPL-2.0

// Package yamuxframe writes frames of yamux as a whole.
package yamuxframe

import (
	"encoding/binary"
	"net"
)

const (
	headerSize = 12 // version, type, flags, stream and length
	typeData   = 0
	// maxJoined is the longest data that are copied behind their header, in bytes.
	maxJoined = 16 << 10
	// keptSize is the capacity up to which a buffer is used again.
	keptSize = 2 << 10
)

// Join returns a connection for a yamux session, which writes the header of a frame and
// its data by two calls. What it returns passes both on by one: that saves a system call
// here, and where the two would arrive apart a wakeup there. Its Write is for yamux alone,
// which calls it from one goroutine.
func Join(conn net.Conn) net.Conn { return &joined{Conn: conn} }

type joined struct {
	net.Conn
	frame []byte // a header whose data come next
}

// Write implements io.Writer.
func (j *joined) Write(p []byte) (int, error) {
	switch {
	case len(j.frame) > 0:
		frame := append(j.frame, p...)
		if j.frame = frame[:0]; cap(frame) > keptSize {
			j.frame = nil
		}
		n, err := j.Conn.Write(frame)
		return max(0, n-headerSize), err
	case announcesData(p):
		j.frame = append(j.frame, p...)
		return len(p), nil
	}
	return j.Conn.Write(p)
}

// announcesData reports whether p is the header of a frame with data that can be joined.
func announcesData(p []byte) bool {
	if len(p) != headerSize || p[0] != 0 || p[1] != typeData {
		return false
	}
	length := binary.BigEndian.Uint32(p[8:])
	return length > 0 && length <= maxJoined
}
