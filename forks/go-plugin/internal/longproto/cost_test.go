// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// nested is a message with a long name at the bottom of depth others.
func nested(depth int) *descriptorpb.DescriptorProto {
	m := &descriptorpb.DescriptorProto{Name: proto.String(strings.Repeat("x", Long+1))}
	for range depth {
		m = &descriptorpb.DescriptorProto{NestedType: []*descriptorpb.DescriptorProto{m}}
	}
	return m
}

// What is long is sent from where it is down to maxDepth, and what is deeper as proto has it.
func TestDepth(t *testing.T) {
	for depth, pieces := range map[int]int{0: 2, 1: 2, maxDepth - 1: 2, maxDepth: 1, 5000: 1} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			m, again := nested(depth), new(descriptorpb.DescriptorProto)
			encoded, err := Marshal(m)
			if err != nil || len(encoded) != pieces {
				t.Fatalf("%d pieces, %v, want %d", len(encoded), err, pieces)
			}
			if err := proto.Unmarshal(encoded.Materialize(), again); err != nil || !proto.Equal(m, again) {
				t.Errorf("proto decodes something else, %v", err)
			}
		})
	}
}

// How often the messages within a deep one are walked has a bound, even if they do not keep
// their sizes.
func TestWalksOfDeepMessages(t *testing.T) {
	of := loose(t)
	child := of.Fields().ByName("child")
	m := parsed(t, of, `data: "this is long"`).ProtoReflect()
	for range 5000 {
		outer := dynamicpb.NewMessage(of)
		outer.Set(child, protoreflect.ValueOfMessage(m))
		m = outer
	}
	var walks int
	e := encoder{long: 8}
	if err := e.message(&counting{m, &walks}, proto.Size(m.Interface()), 0); err != nil {
		t.Fatal(err)
	}
	e.flush()
	again := dynamicpb.NewMessage(of)
	if err := proto.Unmarshal(e.out.Materialize(), again); err != nil || !proto.Equal(m.Interface(), again) {
		t.Errorf("proto decodes something else, %v", err)
	}
	// Two sizes of each level, and what is below the last.
	if most := 2*maxDepth + 1; walks > most {
		t.Errorf("%d walks, want at most %d", walks, most)
	}
}

// counting counts what may be walks of a message, or of one within it.
type counting struct {
	protoreflect.Message
	walks *int
}

func (c *counting) Interface() protoreflect.ProtoMessage {
	*c.walks++
	return c.Message.Interface()
}

func (c *counting) Range(f func(protoreflect.FieldDescriptor, protoreflect.Value) bool) {
	c.Message.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Name() == "child" {
			v = protoreflect.ValueOfMessage(&counting{v.Message(), c.walks})
		}
		return f(fd, v)
	})
}

// What is gathered of a list's short elements is bounded, whatever they are.
func TestPiecesOfLists(t *testing.T) {
	const short, most = Long - 1, headSize + Long + 16
	text := strings.Repeat("x", short)
	file := new(descriptorpb.FileDescriptorProto)
	for range 100 {
		file.Dependency = append(file.Dependency, text)
		file.MessageType = append(file.MessageType, &descriptorpb.DescriptorProto{Name: proto.String(text[:short-8])})
	}
	file.Dependency[7] += "xx"
	file.MessageType[7].Name = proto.String(text + "xx")
	encoded, err := Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, piece := range encoded {
		if piece.Len() > most {
			t.Errorf("piece %d has %d bytes, want at most %d", i, piece.Len(), most)
		}
	}
	again := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(encoded.Materialize(), again); err != nil || !proto.Equal(file, again) {
		t.Errorf("proto decodes something else, %v", err)
	}
}
