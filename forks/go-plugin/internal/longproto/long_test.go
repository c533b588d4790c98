// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// messages are what is encoded and decoded, in the tests as if 8 bytes were long.
var messages = []string{
	``,
	`data: "short"`,
	`data: "this is long"`,
	`data: "this is long" text: "and so is this" number: 7`,
	`text: "only a text is long here" fixed: 9`,
	`many: "short" many: "this is long" many: "" many: "this is long, too"`,
	`texts: "this is long" texts: "short" data: "x"`,
	`child { data: "this is long" child { text: "and even deeper" } } number: 1`,
	`children { data: "x" } children { data: "this is long" } children { }`,
	`named { key: "a" value: "long, but of a map" } data: "this is long"`,
	`a: "one of three, a long one"`,
	`b: "one of three, a long one"`,
	`c { data: "one of three, a long one" }`,
	`group { data: "long within a group" } data: "long before it"`,
	`packed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] data: "this is long"`,
	`needy { data: "this is long" }`,
	`needy { more: "what is required is missing" }`,
}

func TestBothWays(t *testing.T) {
	of := loose(t)
	for _, text := range messages {
		m := parsed(t, of, text)
		plain, want := proto.Marshal(m)
		encoded, err := marshal(m, 8)
		if !sameError(err, want) {
			t.Errorf("%s: encoded with %v, want %v", text, err, want)
		}
		if err != nil {
			continue
		}
		if n := encoded.Len(); n != len(plain) {
			t.Errorf("%s: %d bytes, want %d", text, n, len(plain))
		}
		again := dynamicpb.NewMessage(of)
		if err := proto.Unmarshal(encoded.Materialize(), again); err != nil || !proto.Equal(again, m) {
			t.Errorf("%s: proto decodes %v, %v", text, again, err)
		}
		for n := 1; n <= len(plain)+1; n++ {
			checkDecode(t, of, plain, n)
			checkDecode(t, of, encoded.Materialize(), n)
		}
	}
}

// checkDecode decodes data in pieces of n bytes, and compares that to what proto does.
func checkDecode(t *testing.T, of protoreflect.MessageDescriptor, data []byte, n int) {
	t.Helper()
	want, got := dynamicpb.NewMessage(of), dynamicpb.NewMessage(of)
	got.SetUnknown(protoreflect.RawFields{0x7a, 0x01, 'x'}) // It is to be forgotten.
	wantErr := proto.Unmarshal(data, want)
	gotErr := unmarshal(cut(data, n), got, 8)
	if !sameError(gotErr, wantErr) {
		t.Errorf("%x in pieces of %d: %v, want %v", data, n, gotErr, wantErr)
	}
	if wantErr == nil && !proto.Equal(got, want) {
		t.Errorf("%x in pieces of %d: %v, want %v", data, n, got, want)
	}
}

// Every message that is cut off somewhere, and every one with a wrong byte, comes to what it
// does in proto.
func TestMalformed(t *testing.T) {
	of := loose(t)
	for _, text := range messages {
		data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(parsed(t, of, text))
		if err != nil {
			t.Fatal(err)
		}
		for at := range data {
			checkDecode(t, of, data[:at], 3)
			for _, bit := range []byte{0x80, 0x10, 0x02, 0x01} {
				wrong := bytes.Clone(data)
				wrong[at] ^= bit
				checkDecode(t, of, wrong, 3)
			}
		}
	}
}

// What comes twice is merged as by proto, in the order in which it comes.
func TestRepeatedFields(t *testing.T) {
	of := loose(t)
	for _, first := range messages {
		for _, second := range messages {
			var both []byte
			for _, text := range []string{first, second} {
				data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(parsed(t, of, text))
				if err != nil {
					t.Fatal(err)
				}
				both = append(both, data...)
			}
			checkDecode(t, of, both, 5)
		}
	}
}

// A text that is none is an error where proto says so.
func TestTexts(t *testing.T) {
	const wrong = "this is no text: \xff"
	of := strict(t)
	for _, change := range []func(protoreflect.Message){
		func(m protoreflect.Message) { m.Set(of.Fields().ByName("text"), protoreflect.ValueOfString(wrong)) },
		func(m protoreflect.Message) {
			m.Mutable(of.Fields().ByName("texts")).List().Append(protoreflect.ValueOfString(wrong))
		},
		func(m protoreflect.Message) {
			m.Mutable(of.Fields().ByName("child")).Message().Set(of.Fields().ByName("text"), protoreflect.ValueOfString(wrong))
		},
	} {
		m := dynamicpb.NewMessage(of)
		change(m)
		_, want := proto.Marshal(m)
		if _, err := marshal(m, 8); want == nil || !sameError(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	data, err := proto.Marshal(parsed(t, loose(t), `data: "`+strings.ReplaceAll(wrong, "\xff", `\377`)+`"`))
	if err != nil {
		t.Fatal(err)
	}
	checkDecode(t, of, data, 3)
	data[0] = 3<<3 | 2 // of Loose, which may have it
	checkDecode(t, loose(t), data, 3)
}

// What is long is not copied, and what has come of it is not kept.
func TestNoCopies(t *testing.T) {
	data := make([]byte, 1<<20)
	encoded, err := Marshal(wrapperspb.Bytes(data))
	if err != nil || len(encoded) != 2 || &encoded[1].ReadOnlyData()[0] != &data[0] {
		t.Fatalf("%d pieces, %v", len(encoded), err)
	}
	pieces := cut(encoded.Materialize(), pieceSize)
	got := new(wrapperspb.BytesValue)
	if err := Unmarshal(pieces, got); err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		clear(piece.ReadOnlyData())
	}
	if want := wrapperspb.Bytes(data); !proto.Equal(got, want) {
		t.Error("what was decoded has changed")
	}
}

// A message that somebody changes meanwhile gives an error, or what it was, but no other one.
func TestChangedMeanwhile(t *testing.T) {
	e := encoder{long: 8}
	of := loose(t)
	m := parsed(t, of, `child { data: "this is long" }`).ProtoReflect()
	child := of.Fields().ByName("child")
	if err := e.value(child, m.Get(child), 0); err != nil {
		t.Fatal(err)
	}
	shrinks := &shrinking{Message: m.Get(child).Message()}
	if err := e.value(child, protoreflect.ValueOfMessage(shrinks), 0); !errors.Is(err, errOther) {
		t.Errorf("a message that has become shorter gives %v", err)
	}
}

// shrinking is a message that has lost its fields once its size was asked for.
type shrinking struct {
	protoreflect.Message
	asked bool
}

func (s *shrinking) Interface() protoreflect.ProtoMessage {
	if s.asked {
		return s.New().Interface()
	}
	s.asked = true
	return s.Message.Interface()
}

func (s *shrinking) Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool) {}
