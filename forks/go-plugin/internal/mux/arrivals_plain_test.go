// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// A value that is nothing but bytes or a text is read to where it shall be, whatever it is
// decoded to.
func TestPlainIsReadInPlace(t *testing.T) {
	const n = 1 << 20
	text := strings.Repeat("abcdefg", n/7)
	for name, value := range map[string]any{"text": text, "bytes": []byte(text)} {
		b := newBuffer()
		appendPlain(b, value)
		in := newInbox(bytes.NewReader(b.data), nil)
		in.left = len(b.data)
		s := newArrivals(nil, 0)
		a := &arrival{size: len(b.data)}
		s.messages = map[callKey]*arrival{a.key: a}
		s.planPlain(&in, a)
		if a.plainRoom != len(text) || s.plainRoom != len(text) {
			t.Fatalf("%s: there is room for %d bytes of %d", name, a.plainRoom, len(text))
		}
		take := func() *pieces {
			p := new(pieces)
			p.plan(a.data.head, a.data.value)
			if err := p.readFrom(bytes.NewReader(b.data), len(b.data)); err != nil || len(p.list) != 2 {
				t.Fatalf("%s: %d pieces, %v", name, len(p.list), err)
			}
			return p
		}
		to := reflect.New(reflect.TypeOf(value))
		p := take()
		last := &p.list[1][0]
		if err := decodeLong(p, to); err != nil || !reflect.DeepEqual(to.Elem().Interface(), value) {
			t.Errorf("%s: decoded to something else, %v", name, err)
		}
		if got := to.Elem(); name == "bytes" && (&got.Bytes()[0] != last || got.Cap() != got.Len()) {
			t.Error("the bytes were copied, or have room for more")
		}
		roomy := make([]byte, 0, 2*n)
		start := &roomy[:1][0]
		if err := decodeLong(take(), reflect.ValueOf(&roomy)); name == "bytes" && (err != nil || string(roomy) != text || &roomy[0] != start) {
			t.Errorf("room that is there is not used: %v", err)
		} else if name == "text" && err == nil {
			t.Error("a text was decoded as bytes")
		}
		if err := decodeLong(take(), reflect.Value{}); err != nil {
			t.Errorf("%s: dropped with %v", name, err)
		}
	}
}

// However many values a peer begins, there is room as a whole for few that have not come. All of
// them arrive, and none that is given up keeps its room.
func TestPlainRoomIsBounded(t *testing.T) {
	here, there := tcpPair(t)
	raw, p := rawHost(t, here, there, PluginConfig{}, newThing())
	const size, many = 1 << 20, 10
	value := make([]byte, size)
	var rest [][]byte
	for n := range uint64(many) {
		request := raw.request(1, n, "Plugin.Size", value)
		end := endOfFrames(request, 2) // the request's own, and its first part
		raw.write(request[:end])
		rest = append(rest, request[end:])
	}
	testkit.Eventually(t, "all have begun to come", func() bool {
		p.come.mu.Lock()
		defer p.come.mu.Unlock()
		come := 0
		for _, a := range p.come.messages {
			if a.come > 0 && !a.filling {
				come++
			}
		}
		return come == many
	})
	p.come.mu.Lock()
	room := p.come.plainRoom
	p.come.mu.Unlock()
	if room != maxPlainRoom/size*size {
		t.Errorf("there is room for %d bytes", room)
	}
	raw.write(rawMessage(kindCancel, "", 1, 0))
	for _, left := range rest[1:] {
		raw.write(left)
	}
	for answers := 0; answers < many; {
		if m := raw.next(); m.kind != kindGrant {
			answers++
		}
	}
	testkit.Eventually(t, "nothing is held", func() bool { return p.come.holds() == 0 })
}

// endOfFrames is where the first n frames of data end.
func endOfFrames(data []byte, n int) (end int) {
	for range n {
		end += lengthSize + int(binary.BigEndian.Uint32(data[end:]))
	}
	return end
}
