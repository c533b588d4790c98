// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bytes"
	"encoding/gob"
	"errors"
	"io"
	"net/rpc"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/mux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// bottomless is a peer that never stops, within one message.
type bottomless struct{ head []byte }

func (e *bottomless) Read(p []byte) (int, error) {
	if len(e.head) > 0 {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	return len(p), nil
}

// TestDroppedMessageIsNotKept: a message of a gigabyte costs no memory.
func TestDroppedMessageIsNotKept(t *testing.T) {
	r := boundGob(io.LimitReader(&bottomless{head: []byte{0xfc, 0x40, 0, 0, 0}}, 1<<30+5), mib)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var into any
	err := gob.NewDecoder(r).Decode(&into)
	if large := (*mux.TooLargeError)(nil); !errors.As(err, &large) || large.Size != 1<<30 || large.Max != mib {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4*mib {
		t.Errorf("%d bytes were allocated", got)
	}
}

// FuzzBoundGob: however a stream of gob is cut and made up, a bounded reader gives what
// an unbounded one does, but for messages that are too long.
func FuzzBoundGob(f *testing.F) {
	var good bytes.Buffer
	enc := gob.NewEncoder(&good)
	for _, v := range []any{rpc.Request{ServiceMethod: "Plugin.Greet", Seq: 7}, strings.Repeat("x", 300), []int{1, 2}} {
		if err := enc.Encode(v); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(good.Bytes(), uint16(100))
	f.Add([]byte{0xf0, 1, 2}, uint16(1))
	f.Add([]byte{0xff, 0x80}, uint16(4))
	f.Fuzz(func(t *testing.T, data []byte, most uint16) {
		bound := max(int(most), 1)
		limited, free := gob.NewDecoder(boundGob(bytes.NewReader(data), bound)), gob.NewDecoder(bytes.NewReader(data))
		for range 100 {
			var header rpc.Request
			err := mux.Decode(limited, &header)
			if large := (*mux.TooLargeError)(nil); errors.As(err, &large) {
				if large.Size <= uint64(bound) {
					t.Fatalf("%v", err)
				}
				return
			}
			var want rpc.Request
			wanted := mux.Decode(free, &want)
			if (err == nil) != (wanted == nil) || header != want {
				t.Fatalf("%+v, %v; without a bound %+v, %v", header, err, want, wanted)
			}
			if err != nil {
				return
			}
		}
	})
}
