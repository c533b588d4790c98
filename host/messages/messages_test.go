// SPDX-License-Identifier: MPL-2.0

package messages

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestJSON holds that messages are written as people write them, and are read again.
func TestJSON(t *testing.T) {
	list, err := structpb.NewList([]any{"a", 1, nil})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		message proto.Message
		want    string
		whole   bool
	}{
		"nothing":       {&emptypb.Empty{}, "{}", false},
		"a time":        {timestamppb.New(time.Unix(0, 5e8)), `"1970-01-01T00:00:00.500Z"`, true},
		"a duration":    {durationpb.New(90 * time.Second), `"90s"`, true},
		"a number":      {wrapperspb.Int64(math.MaxInt64), "9223372036854775807", true},
		"no number":     {wrapperspb.Double(math.Inf(-1)), `"-Infinity"`, true},
		"a float":       {wrapperspb.Float(float32(math.Inf(1))), `"Infinity"`, true},
		"bytes":         {wrapperspb.Bytes([]byte{1, 2}), `"AQI="`, true},
		"a list":        {list, `["a",1,null]`, true},
		"fields of one": {&descriptorpb.FieldOptions{Lazy: proto.Bool(true)}, `{"lazy":true}`, false},
	} {
		got, err := JSON(tc.message.ProtoReflect())
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, tc.want)
		}
		if whole := Whole(tc.message.ProtoReflect().Descriptor()); whole != tc.whole {
			t.Errorf("%s: it is one value: %t", name, whole)
		}
		again := tc.message.ProtoReflect().New().Interface()
		if err := Read(got, again); err != nil || !proto.Equal(tc.message, again) {
			t.Errorf("%s: %s is read as %v, %v", name, got, again, err)
		}
	}
}

// TestRead holds that what does not fit is told in a way that does not vary.
func TestRead(t *testing.T) {
	for raw, want := range map[string]string{
		`{"nam": 1}`: `unknown field "nam"`,
		`"noon"`:     `syntax error: unexpected token "noon"`,
	} {
		if err := Read([]byte(raw), &descriptorpb.FieldOptions{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", raw, err, want)
		}
	}
}
