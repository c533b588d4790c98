// SPDX-License-Identifier: MPL-2.0

// Package messages has messages of protocol buffers as JSON: as people give them, and as they
// read them.
package messages

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// known begins the names of messages of protocol buffers' own.
const known = "google.protobuf."

// Files are those of protocol buffers' own whose messages contracts have.
func Files() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		anypb.File_google_protobuf_any_proto, durationpb.File_google_protobuf_duration_proto,
		emptypb.File_google_protobuf_empty_proto, fieldmaskpb.File_google_protobuf_field_mask_proto,
		structpb.File_google_protobuf_struct_proto, timestamppb.File_google_protobuf_timestamp_proto,
		wrapperspb.File_google_protobuf_wrappers_proto,
	}
}

// Whole reports whether JSON has a message of protocol buffers' own as one value, and not as
// an object with its fields: google.protobuf.Timestamp is a text.
func Whole(d protoreflect.MessageDescriptor) bool {
	if d.Parent() != d.ParentFile() || d.ParentFile().Package() != "google.protobuf" {
		return false
	}
	switch d.Name() {
	case "Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue",
		"BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "StringValue", "UInt32Value", "UInt64Value":
		return true
	}
	return false
}

// Read sets a message from JSON. Its error says what does not fit.
func Read(raw []byte, into proto.Message) error {
	err := protojson.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	// Package protojson varies its errors, so that nobody compares them, and counts lines of
	// what the caller does not see.
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	return errors.New(position.ReplaceAllString(strings.Replace(text, "syntax error (", "syntax error: (", 1), ""))
}

var position = regexp.MustCompile(`\(line \d+:\d+\): `)

// JSON writes a message as package json writes a value of Go: with numbers for all numbers, and
// with fields that are not set. Those of protocol buffers' own are as protocol buffers have them.
func JSON(m protoreflect.Message) (json.RawMessage, error) {
	v, err := plainMessage(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// plainMessage gives a message as package json writes it: as the JSON of protocol buffers,
// but with numbers for all numbers, and with fields that are not set.
func plainMessage(m protoreflect.Message) (any, error) {
	if d := m.Descriptor(); d.ParentFile().Path() == wrapperspb.File_google_protobuf_wrappers_proto.Path() {
		return Field(d.Fields().ByName("value"), m)
	}
	if strings.HasPrefix(string(m.Descriptor().FullName()), known) {
		raw, err := protojson.Marshal(m.Interface())
		return json.RawMessage(raw), err
	}
	all := make(map[string]any)
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if field.ContainingOneof() != nil && !m.Has(field) {
			continue
		}
		v, err := Field(field, m)
		if err != nil {
			return nil, err
		}
		all[field.JSONName()] = v
	}
	return all, nil
}

// Field gives a field of a message as JSON gives it: nil for one that is not there.
func Field(field protoreflect.FieldDescriptor, m protoreflect.Message) (any, error) {
	v := m.Get(field)
	switch {
	case field.IsList():
		list := make([]any, 0, v.List().Len())
		for i := range v.List().Len() {
			one, err := plainValue(field, v.List().Get(i))
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	case field.IsMap():
		entries, err := make(map[string]any, v.Map().Len()), error(nil)
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entries[k.String()], err = plainValue(field.MapValue(), v)
			return err == nil
		})
		return entries, err
	case field.HasPresence() && !m.Has(field):
		return nil, nil
	}
	return plainValue(field, v)
}

func plainValue(field protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return plainMessage(v.Message())
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	case protoreflect.EnumKind:
		if named := field.Enum().Values().ByNumber(v.Enum()); named != nil {
			return string(named.Name()), nil
		}
		return int32(v.Enum()), nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strings.TrimPrefix(strings.Replace(fmt.Sprint(f), "Inf", "Infinity", 1), "+"), nil
		}
	}
	return v.Interface(), nil
}

// Arguments says how many arguments a method takes, for an error about their JSON.
func Arguments(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
