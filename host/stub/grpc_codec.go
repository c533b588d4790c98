// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// callCodec is what a call is encoded with.
type callCodec struct {
	encoding.CodecV2
	subtype string // of its content; empty is protobuf
}

// codecOf gives the codec that gRPC would take for a call. The error is gRPC's too.
func codecOf(opts []grpc.CallOption) (callCodec, error) {
	var c callCodec
	name := ""
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.ContentSubtypeCallOption:
			c.subtype = o.ContentSubtype
		case grpc.ForceCodecV2CallOption:
			c.CodecV2, name = o.CodecV2, o.CodecV2.Name()
		case grpc.ForceCodecCallOption:
			c.CodecV2, name = bytesCodec{o.Codec}, o.Codec.Name()
		case grpc.CustomCodecCallOption:
			c.CodecV2, name = bytesCodec{o.Codec}, ""
		}
	}
	switch {
	case c.CodecV2 != nil && c.subtype == "":
		c.subtype = name
	case c.CodecV2 != nil:
	case c.subtype == "":
		c.CodecV2 = encoding.GetCodecV2(proto.Name)
	default:
		if c.CodecV2 = encoding.GetCodecV2(c.subtype); c.CodecV2 != nil {
			break
		}
		old := encoding.GetCodec(c.subtype)
		if old == nil {
			return c, status.Errorf(codes.Internal, "no codec registered for content-subtype %s", c.subtype)
		}
		c.CodecV2 = bytesCodec{old}
	}
	return c, nil
}

// encode gives a request as it travels. The error is that of a call.
func (c callCodec) encode(req any) ([]byte, error) {
	encoded, err := c.Marshal(req)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	defer encoded.Free()
	return encoded.Materialize(), nil
}

// decode reads an answer. The error is that of a call.
func (c callCodec) decode(answer []byte, reply any) error {
	if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(answer)}, reply); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// bytesCodec is a codec of one of gRPC's older interfaces.
type bytesCodec struct {
	old interface {
		Marshal(v any) ([]byte, error)
		Unmarshal(data []byte, v any) error
	}
}

// Marshal implements encoding.CodecV2.
func (c bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.old.Marshal(v)
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

// Unmarshal implements encoding.CodecV2.
func (c bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	return c.old.Unmarshal(data.Materialize(), v)
}

// Name implements encoding.CodecV2. It is not asked: callCodec has the name.
func (bytesCodec) Name() string { return "" }

// sentMessage is a message that is encoded already. It is its own codec, which drops answers.
type sentMessage struct {
	message []byte
	subtype string
}

// Marshal implements encoding.CodecV2.
func (m *sentMessage) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(m.message)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (*sentMessage) Unmarshal(mem.BufferSlice, any) error { return nil }

// Name implements encoding.CodecV2.
func (m *sentMessage) Name() string { return m.subtype }
