// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"runtime"
	"testing"
)

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
