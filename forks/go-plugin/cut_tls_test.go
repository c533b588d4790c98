// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// recordHead is the length of what stands before the bytes of a TLS record.
const recordHead = 5

// recordCuts are how much of its last record a connection passes on that is cut: nothing,
// half of the head, the head, half of the bytes, and all but one.
var recordCuts = []func(size int) int{
	func(int) int { return 0 },
	func(int) int { return recordHead / 2 },
	func(int) int { return recordHead },
	func(size int) int { return (recordHead + size) / 2 },
	func(size int) int { return size - 1 },
}

// newRecordProxy returns one that passes TLS on record by record, those of the handshakes
// included, and ends the connection at one of the places that recordCuts has of each.
func newRecordProxy(t *testing.T, target net.Addr, direction, place int) *byteProxy {
	t.Helper()
	return startProxy(t, target, direction, place, (*byteProxy).forwardRecords)
}

func (p *byteProxy) forwardRecords(direction int, to io.Writer, from *bufio.Reader) {
	for n := 0; ; n++ {
		head, err := from.Peek(recordHead)
		if err != nil {
			return
		}
		record := make([]byte, recordHead+int(binary.BigEndian.Uint16(head[3:])))
		if _, err := io.ReadFull(from, record); err != nil {
			return
		}
		last := direction == p.direction && n == p.after/len(recordCuts)
		if last {
			record = record[:recordCuts[p.after%len(recordCuts)](len(record))]
		}
		_, err = to.Write(record)
		if last {
			p.cut.Store(err == nil)
		}
		if last || err != nil {
			return
		}
	}
}
