// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"flag"
	"strings"
)

// all asks for the full numbers of what floods; otherwise there are flooding times fewer.
var all = flag.Bool("all", false, "flood with the full numbers, which takes minutes")

// fewer divides the numbers of floods when they are tried along with everything else.
const fewer = 20

// numberOf is how many of n are sent, one at least.
func numberOf(n uint64) uint64 {
	if *all {
		return n
	}
	return max(n/fewer, 1)
}

// Kinds of frames, flags and purposes of streams: PROTOCOL.md, section 8.
const (
	frameRequest   = 1
	frameAnswer    = 2
	frameFailure   = 3
	frameRefused   = 4
	frameCancel    = 5
	framePart      = 6
	frameGrant     = 7
	frameRelease   = 8
	frameOpen      = 9
	frameStream    = 10
	frameData      = 11
	frameCredit    = 12
	frameEnd       = 13
	frameReset     = 14
	frameDraining  = 15
	frameProbe     = 16
	frameAlive     = 17
	frameBye       = 18
	frameWithdrawn = 19
	frameAccepts   = 20

	more  = 0x40
	fresh = 0x80

	brokered  = 1
	output    = 2
	http2     = 3
	grpcCall  = 4
	unaryCall = 5
)

// frame appends one of a kind: a number of its channel or stream, and the rest.
func frame(to []byte, kind byte, stream uint64, rest []byte) []byte {
	number := binary.AppendUvarint(nil, stream)
	to = binary.BigEndian.AppendUint32(to, uint32(1+len(number)+len(rest)))
	to = append(to, kind)
	to = append(to, number...)
	return append(to, rest...)
}

// bare appends a frame without numbers.
func bare(to []byte, kind byte, rest string) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(1+len(rest)))
	return append(append(to, kind), rest...)
}

// request appends a call of net/rpc, whose argument is a gob stream of its own.
func request(to []byte, channel, call uint64, method string, argument []byte) []byte {
	rest := binary.AppendUvarint(nil, call)
	rest = append(rest, 0, 0, byte(len(method)))
	rest = append(rest, method...)
	return frame(to, frameRequest|fresh, channel, append(rest, argument...))
}

// inGob is a value as a gob stream of its own.
func inGob(v any) []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// callOf is the header of a gRPC call without metadata.
func callOf(method string) []byte {
	return append(append([]byte{byte(len(method))}, method...), 0, 0, 0, 0)
}

// malformedCalls is how many of them, the last, begin a call.
const malformedCalls = 4

// malformed are frames that break a rule, of every kind: each alone ends a session, if its
// reader knows the kind. theirs is a stream that the reader's peer may open.
func malformed(theirs uint64) [][]byte {
	var made [][]byte
	for kind := byte(0); kind <= frameAccepts+1; kind++ {
		for _, flags := range []byte{0, more, fresh, more | fresh} {
			for _, rest := range []string{
				"", "\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x02", "\x02\x07", "\x02\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
				"\x01\x01\x00\xff\xff\xff\xff\x0f", "\x01\x01\x00\x00\xff\xff\xff\xff\x0f", strings.Repeat("\xff", 100), strings.Repeat("\x01", 40<<10), strings.Repeat("\x01", 288<<10-1),
			} {
				made = append(made, bare(nil, kind|flags, rest))
			}
		}
	}
	open := frame(nil, frameStream, theirs, []byte{brokered, 7})
	long := func(channel uint64) []byte { // a request whose arguments have no bytes
		return frame(nil, frameRequest|more, channel, []byte("\x01\x00\x00\x01x\x00"))
	}
	twice := func(channel uint64) []byte {
		once := frame(nil, frameRequest|more, channel, []byte("\x01\x00\x00\x01x\x05"))
		return append(once, once...)
	}
	return append(made, []byte{0, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff, 1}, []byte{0, 4, 0x80, 1, 61},
		append(bytes.Clone(open), open...),                                                        // a number that is used twice
		frame(bytes.Clone(open), frameData, theirs, make([]byte, 17<<10)),                         // more than the credit
		frame(frame(bytes.Clone(open), frameEnd, theirs, nil), frameEnd, theirs, nil),             // two ends
		frame(frame(bytes.Clone(open), frameEnd, theirs, nil), frameData, theirs, []byte{1}),      // data after the end
		frame(nil, frameStream, theirs+1, []byte{brokered, 7}),                                    // the other side's
		frame(nil, frameStream, theirs, append([]byte{brokered}, make([]byte, 33<<10)...)),        // a long header
		frame(bytes.Clone(open), frameCredit, theirs, binary.AppendUvarint(nil, 1<<63)),           // no number of bytes
		frame(nil, frameRequest|more, 1, []byte("\x01\x00\x00\x01x\xff\xff\xff\xff\xff\xff\x7f")), // an argument of 2^48 bytes
		long(0), twice(0), long(1), twice(1), // malformedCalls
	)
}

// flood writes n frames, and reports how many left before the other side ended it.
func flood(w *bufio.Writer, n uint64, each func(to []byte, n uint64) []byte) (sent uint64, err error) {
	var room []byte
	for sent < n && err == nil {
		room = each(room[:0], sent)
		if _, err = w.Write(room); err == nil {
			sent++
		}
	}
	if err == nil {
		err = w.Flush()
	}
	return sent, err
}
