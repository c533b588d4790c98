// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"net"
	"net/rpc"
	"strings"
	"testing"
)

// A text that is sent from where it is has the same frames as one that was copied before.
func TestTextInPlaceHasTheSameFrames(t *testing.T) {
	text := strings.Repeat("abcdefg", 90<<10)
	frames := func(inPlace bool, each int) (all []byte) {
		head := newMessage(kindRequest, 1, 2)
		head.call("Plugin.Upper", 0)
		first, long, err := (&apart{inPlace: inPlace}).add(head, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if (long.text != nil) != inPlace {
			t.Fatalf("in place: %v", long.text != nil)
		}
		all = append(all, first.data...)
		long.of, long.key, long.allowed = &sendings{out: &outbox{}}, callKey{1, 2}, long.left()
		for more := true; more; {
			var b *buffer
			if each == 0 {
				b = newBuffer()
				more = long.part(b, 100_000)
			} else {
				b, more = long.nextFrame(each)
			}
			all = append(append(all, b.data...), b.tail...)
			b.recycle()
		}
		if long.buffer != nil || long.text != nil {
			t.Error("what was sent is kept")
		}
		return all
	}
	for _, each := range []int{0, 5, partSize, maxPart, maxPart + 1} {
		if !bytes.Equal(frames(true, each), frames(false, each)) {
			t.Errorf("the frames of %d bytes differ", each)
		}
	}
}

// The last part takes along what would be few bytes by themselves, and no frame has too many.
func TestLastPart(t *testing.T) {
	for size, want := range map[int]int{maxPart: 1, maxPart + lastPart: 1, maxPart + lastPart + 1: 2, 4*maxPart + 12: 4} {
		m := &sending{of: &sendings{out: &outbox{}}, buffer: &buffer{data: make([]byte, partHead+size)}, at: partHead}
		m.allowed = m.left()
		n := 0
		for more := true; more; n++ {
			var b *buffer
			b, more = m.nextFrame(maxPart)
			if len(b.data)-lengthSize > maxFrame {
				t.Errorf("a frame of %d bytes", len(b.data))
			}
			b.recycle()
		}
		if n != want {
			t.Errorf("%d bytes have %d parts, want %d", size, n, want)
		}
	}
	if maxPart+lastPart+partHead > maxFrame {
		t.Error("a part is larger than a frame may be")
	}
}

// Long texts pass beside one another, also where the connection takes few bytes at a time.
func TestTexts(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		for _, conn := range []net.Conn{here, there} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(8 << 10)
			}
		}
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		client := p.client(newThing())
		type call struct {
			*rpc.Call
			text string
		}
		var calls []call
		for i, size := range []int{maxShort, maxShort + 1, maxUnasked, maxUnasked + 1, 1 << 20, 3 << 20, maxPlainRoom, maxPlainRoom + 1} {
			text := strings.Repeat(string(rune('a'+i))+"bcdefghijklm", size)[:size]
			calls = append(calls, call{client.Go("Plugin.Upper", text, new(string), nil), strings.ToUpper(text)})
		}
		mustUpper(t, client)
		for _, c := range calls {
			if <-c.Done; c.Error != nil || *c.Reply.(*string) != c.text {
				t.Errorf("%d bytes of %d came back, or others, %v", len(*c.Reply.(*string)), len(c.text), c.Error)
			}
		}
		p.checkNothingLeft()
	})
}

// Whoever has sent bytes may change them at once, as with net/rpc's own codec.
func TestSentBytesMayChange(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	client := p.client(newThing())
	data := bytes.Repeat([]byte("a"), 3<<20)
	want := bytes.Clone(data)
	call := client.Go("Plugin.Echo", data, new([]byte), nil)
	clear(data)
	if <-call.Done; call.Error != nil || !bytes.Equal(*call.Reply.(*[]byte), want) {
		t.Errorf("other bytes came back, %v", call.Error)
	}
}
