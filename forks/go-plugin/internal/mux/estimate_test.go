// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"strings"
	"testing"
)

// What is long is known before it is encoded, wherever in a value it is.
func TestLooksLong(t *testing.T) {
	type inner struct {
		Name string
		Data []byte
	}
	type outer struct {
		One   *inner
		Many  []inner
		ByKey map[string][]byte
		Any   any
		own   []byte
	}
	const much = maxShort + 1
	cyclic := &struct{ Next any }{}
	cyclic.Next = cyclic
	for name, c := range map[string]struct {
		value any
		want  bool
	}{
		"nothing":         {nil, false},
		"number":          {7, false},
		"short text":      {"short", false},
		"text":            {strings.Repeat("x", much), true},
		"bytes":           {make([]byte, much), true},
		"reply":           {new([]byte), false},
		"long reply":      {&[]byte{much: 0}, true},
		"numbers":         {make([]int64, much), true},
		"nil pointer":     {(*outer)(nil), false},
		"inner":           {outer{One: &inner{Data: make([]byte, much)}}, true},
		"many":            {&outer{Many: make([]inner, much)}, true},
		"few":             {&outer{Many: make([]inner, 3)}, false},
		"map":             {outer{ByKey: map[string][]byte{"": make([]byte, much)}}, true},
		"interface":       {outer{Any: strings.Repeat("x", much)}, true},
		"what stays here": {outer{own: make([]byte, much)}, false},
		"cycle":           {cyclic, false},
	} {
		if got := looksLong(c.value); got != c.want {
			t.Errorf("%s: long: %v", name, got)
		}
	}
}

// The first long answer of a method, and the first long request, hold back no other call: they
// are encoded apart, as those are that follow them.
func TestFirstLongIsApart(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	c := p.serve(newThing())
	defer c.Close()
	if c.EncodeAhead("Plugin.Echo", []byte("short")) != nil {
		t.Error("short arguments are encoded ahead")
	}
	if c.EncodeAhead("Plugin.Echo", make([]byte, maxShort+1)) == nil {
		t.Error("the first long arguments are not encoded ahead")
	}
	w := &worker{plugin: p.plugin, service: newService(p.plugin, 1, nil), method: &method{}}
	body := make([]byte, maxShort+1)
	w.service.sending.Lock()
	_, long, err := w.encode(newMessage(kindAnswer, 1, 1), &body)
	w.service.sending.Unlock()
	if err != nil || long == nil {
		t.Fatal(err)
	}
	if w.service.answers.enc != nil || w.service.answers.apart == nil {
		t.Error("the first long answer is encoded with the channel's stream")
	}
}
