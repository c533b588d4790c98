// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
)

// anyMessage takes whatever comes, of which nothing is read.
type anyMessage = emptypb.Empty

// streamField is the number of the field of a request that names the broker's id of its
// stream, over net/rpc.
const streamField = 999

// opened is what asks for a stream, over net/rpc.
type opened interface{ reply() any }

// openingOf puts the broker's id of a stream into the request for it, or beside it.
func openingOf(request proto.Message, id uint32) (opened, error) {
	if request == nil {
		return &Opening{Stream: id}, nil
	}
	r := request.ProtoReflect()
	if f := r.Descriptor().Fields().ByNumber(streamField); f != nil && f.Name() == "reattach_stream" {
		r.Set(f, protoreflect.ValueOfUint32(id))
		return &withStream{request}, nil
	}
	raw, err := proto.Marshal(request)
	return &Opening{Stream: id, Request: raw}, err
}

// withStream is a request that has a field for its stream.
type withStream struct{ proto.Message }

// GobEncode gives what the request itself does.
func (w *withStream) GobEncode() ([]byte, error) { return proto.Marshal(w.Message) }

func (*withStream) reply() any { return new(ignored) }

// Opening asks for a stream, over net/rpc, where the request is a message that has no place
// for it.
type Opening struct {
	// Stream is the broker's id of the stream.
	Stream uint32
	// Request is the message, if there is one beside the stream.
	Request []byte
}

func (*Opening) reply() any { return new(struct{}) }

// Read reads the request.
func (o *Opening) Read(request proto.Message) error { return proto.Unmarshal(o.Request, request) }

// ignored is an answer of which nothing is read.
type ignored struct{}

// GobDecode drops the answer.
func (*ignored) GobDecode([]byte) error { return nil }
