// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"runtime"
	"testing"
)

// TestStreamBegunByText reads, with one decoder of gob, a stream in which texts come before
// and after what needs an encoder of gob. It begins anew only after a value that cannot be
// encoded.
func TestStreamBegunByText(t *testing.T) {
	type pair struct{ A, B string }
	var stream values
	var data bytes.Buffer
	var decoder *gob.Decoder
	for i, step := range []struct {
		value any
		fresh bool
	}{
		{"one", true}, {[]byte("two"), false}, {pair{"a", "b"}, false}, {"three", false}, {pair{"c", "d"}, false},
		{func() {}, false}, {"four", true}, {pair{"e", "f"}, false}, {func() {}, false}, {pair{"g", "h"}, true},
	} {
		b := newMessage(kindRequest, 1, uint64(i))
		start := len(b.data)
		b, long, err := stream.add(b, step.value, 0)
		if reflect.TypeOf(step.value).Kind() == reflect.Func {
			if err == nil {
				t.Fatal("a function was encoded")
			}
			continue
		}
		if err != nil || long != nil {
			t.Fatal(i, err, long)
		}
		if fresh := b.data[lengthSize]&byte(flagFresh) != 0; fresh != step.fresh {
			t.Errorf("value %d begins a stream: %v", i, fresh)
		}
		if step.fresh {
			decoder = gob.NewDecoder(&data)
		}
		data.Write(b.data[start:])
		got := reflect.New(reflect.TypeOf(step.value))
		if err := decoder.DecodeValue(got); err != nil || !reflect.DeepEqual(got.Elem().Interface(), step.value) {
			t.Errorf("value %d: %v, %v", i, got.Elem(), err)
		}
	}
}

// TestDecodeHugeMap reads a map that says it has 2^28 entries, and has one. It is an
// error, and no room is made for the rest.
func TestDecodeHugeMap(t *testing.T) {
	var whole bytes.Buffer
	if err := gob.NewEncoder(&whole).Encode(map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	// The value: its length, the id of its type as two bytes, a zero, how many entries.
	sent := whole.Bytes()
	value := bytes.LastIndex(sent, []byte{1, 1, 'a', 1, 'b'})
	lying := append(bytes.Clone(sent[:value]), 0xfc, 0x10, 0, 0, 0)
	lying = append(lying, sent[value+1:]...)
	lying[value-4] += 4
	for name, decode := range map[string]func(*gob.Decoder, *map[string]string) error{
		"Decode":      func(d *gob.Decoder, m *map[string]string) error { return Decode(d, m) },
		"DecodeValue": func(d *gob.Decoder, m *map[string]string) error { return DecodeValue(d, reflect.ValueOf(m)) },
	} {
		var m map[string]string
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode(gob.NewDecoder(bytes.NewReader(lying)), &m)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || allocated > 1<<20 {
			t.Errorf("%s: %v, %d bytes were allocated", name, err, allocated)
		}
		var honest map[string]string
		if err := decode(gob.NewDecoder(bytes.NewReader(sent)), &honest); err != nil || honest["a"] != "b" || len(honest) != 1 {
			t.Errorf("%s: %v, %v", name, honest, err)
		}
		var nothing map[string]string
		if err := decode(gob.NewDecoder(&bytes.Buffer{}), &nothing); err == nil || nothing != nil {
			t.Errorf("%s of nothing: %v, %v", name, nothing, err)
		}
	}
}
