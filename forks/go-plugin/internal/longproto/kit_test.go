// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema has messages with fields of all sorts, Loose without what proto3 checks and demands.
const schema = `
name: "long.proto" package: "long" syntax: "proto2"
message_type {
  name: "Loose"
  field { name: "data" number: 1 type: TYPE_BYTES label: LABEL_OPTIONAL }
  field { name: "many" number: 2 type: TYPE_BYTES label: LABEL_REPEATED }
  field { name: "text" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "texts" number: 4 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "child" number: 5 type: TYPE_MESSAGE type_name: ".long.Loose" label: LABEL_OPTIONAL }
  field { name: "children" number: 6 type: TYPE_MESSAGE type_name: ".long.Loose" label: LABEL_REPEATED }
  field { name: "named" number: 7 type: TYPE_MESSAGE type_name: ".long.Loose.NamedEntry" label: LABEL_REPEATED }
  field { name: "a" number: 8 type: TYPE_BYTES label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "b" number: 9 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "c" number: 10 type: TYPE_MESSAGE type_name: ".long.Loose" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "group" number: 11 type: TYPE_GROUP type_name: ".long.Loose.Group" label: LABEL_OPTIONAL }
  field { name: "packed" number: 12 type: TYPE_INT32 label: LABEL_REPEATED options { packed: true } }
  field { name: "number" number: 13 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "needy" number: 14 type: TYPE_MESSAGE type_name: ".long.Needy" label: LABEL_OPTIONAL }
  field { name: "fixed" number: 15 type: TYPE_FIXED64 label: LABEL_OPTIONAL }
  nested_type {
    name: "NamedEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_BYTES label: LABEL_OPTIONAL }
  }
  nested_type {
    name: "Group"
    field { name: "data" number: 1 type: TYPE_BYTES label: LABEL_OPTIONAL }
  }
  oneof_decl { name: "one" }
}
message_type {
  name: "Needy"
  field { name: "data" number: 1 type: TYPE_BYTES label: LABEL_REQUIRED }
  field { name: "more" number: 2 type: TYPE_BYTES label: LABEL_OPTIONAL }
}
`

// strictSchema has one whose texts are checked.
const strictSchema = `
name: "strict.proto" package: "long" syntax: "proto3"
message_type {
  name: "Strict"
  field { name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "texts" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "child" number: 3 type: TYPE_MESSAGE type_name: ".long.Strict" label: LABEL_OPTIONAL }
}
`

// loose and strict are the descriptors of those.
func loose(t testing.TB) protoreflect.MessageDescriptor { return described(t, schema, "Loose") }

func strict(t testing.TB) protoreflect.MessageDescriptor { return described(t, strictSchema, "Strict") }

func described(t testing.TB, schema string, message protoreflect.Name) protoreflect.MessageDescriptor {
	t.Helper()
	described := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(schema), described); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(described, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName(message)
}

// parsed makes a message of text.
func parsed(t testing.TB, of protoreflect.MessageDescriptor, text string) proto.Message {
	t.Helper()
	m := dynamicpb.NewMessage(of)
	if err := (prototext.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// cut makes pieces of data, each of so many bytes.
func cut(data []byte, n int) (all mem.BufferSlice) {
	for len(data) > 0 {
		k := min(n, len(data))
		all = append(all, mem.SliceBuffer(bytes.Clone(data[:k])))
		data = data[k:]
	}
	return all
}

// sameError reports whether both are nil, or neither is and they read the same.
func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return words(a) == words(b)
}

// words are those of an error. Those of package proto have one of two sorts of space, by
// chance of the build, so that nobody relies on them.
func words(err error) string { return strings.ReplaceAll(err.Error(), "\u00a0", " ") }
