// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// FuzzUnmarshal holds that anything is decoded to what proto makes of it.
func FuzzUnmarshal(f *testing.F) {
	of := loose(f)
	for _, text := range messages {
		data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(parsed(f, of, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 3)
	}
	f.Add([]byte("2\x03B\x010100000000100000000"), 27) // a fixed64 of a number that has messages
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n = n&0xff + 1; len(data) > 1<<16 {
			return
		}
		checkDecode(t, of, data, n)
		m := dynamicpb.NewMessage(of)
		if proto.Unmarshal(data, m) == nil {
			checkEncode(t, m)
		}
		file := new(descriptorpb.FileDescriptorProto)
		if proto.Unmarshal(data, file) == nil {
			checkEncode(t, file)
		}
	})
}

// checkEncode holds that a message is encoded to what proto makes the same of.
func checkEncode(t *testing.T, m proto.Message) {
	t.Helper()
	plain, want := proto.Marshal(m)
	encoded, err := marshal(m, 8)
	if !sameError(err, want) {
		t.Errorf("%v is encoded with %v, want %v", m, err, want)
	}
	if err != nil {
		return
	}
	again := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(encoded.Materialize(), again); err != nil || !proto.Equal(m, again) {
		t.Errorf("%v has become %v, %v", m, again, err)
	}
	if encoded.Len() != len(plain) {
		t.Errorf("%v has %d bytes, want %d", m, encoded.Len(), len(plain))
	}
}
