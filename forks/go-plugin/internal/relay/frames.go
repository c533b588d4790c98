// SPDX-License-Identifier: MPL-2.0

package relay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// What yamux (version 0) writes before each frame: version, type, flags, stream and
// length, 12 bytes, big-endian.
const (
	headerSize = 12
	// maxFrame bounds one frame's data, in bytes. A sender keeps to its peer's window,
	// which is 256 KiB in every go-plugin.
	maxFrame = 1 << 20
)

// Types of frames.
const (
	typeData = iota
	typeWindow
	typePing
	typeGoAway
)

// Flags of frames.
const (
	flagSYN = 1 << iota // the first of a stream
	flagACK
	flagFIN // the sender writes no more
	flagRST
)

// header is what stands before a frame.
type header struct {
	kind   byte
	flags  uint16
	stream uint32 // zero: of the session
	length uint32 // of the data; of other types, a number
}

// parseHeader reads the first headerSize bytes of b.
func parseHeader(b []byte) (header, error) {
	h := header{
		kind: b[1], flags: binary.BigEndian.Uint16(b[2:]), stream: binary.BigEndian.Uint32(b[4:]), length: binary.BigEndian.Uint32(b[8:]),
	}
	switch {
	case b[0] != 0 || h.kind > typeGoAway:
		return h, fmt.Errorf("what came is no frame of yamux: version %d, type %d", b[0], h.kind)
	case h.size() > headerSize+maxFrame:
		return h, fmt.Errorf("a frame of %d bytes, at most %d are allowed", h.length, maxFrame)
	}
	return h, nil
}

// size is how many bytes the whole frame has.
func (h header) size() int {
	if h.kind == typeData {
		return headerSize + int(h.length)
	}
	return headerSize
}

// isWhole reports whether the next frame can be read without waiting.
func isWhole(r *bufio.Reader) bool {
	if r.Buffered() < headerSize {
		return false
	}
	b, err := r.Peek(headerSize)
	if err != nil {
		return false
	}
	h, err := parseHeader(b)
	return err != nil || r.Buffered() >= h.size() // An error is to be read as well.
}

// appendFrame reads one frame and appends it to buf.
func appendFrame(buf []byte, r *bufio.Reader) (h header, _ []byte, err error) {
	b, err := r.Peek(headerSize)
	if err != nil {
		return h, buf, err
	}
	if h, err = parseHeader(b); err != nil {
		return h, buf, err
	}
	start := len(buf)
	buf = append(buf, make([]byte, h.size())...)
	if _, err = io.ReadFull(r, buf[start:]); err != nil {
		return h, buf[:start], err
	}
	return h, buf, nil
}
