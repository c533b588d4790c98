// SPDX-License-Identifier: MPL-2.0

package forward

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// message is one gRPC message as it travels.
type message struct{ data mem.BufferSlice }

// free gives the buffers back. A message may be sent again before, and not after.
func (m *message) free() {
	m.data.Free()
	m.data = nil
}

// codec passes messages as they are. What is not one belongs to services of the server's
// own, which speak protobuf.
type codec struct{ proto encoding.CodecV2 }

// Codec returns what a server that hands calls on decodes and encodes with: nothing that
// is handed on, and protobuf in the services that are registered with it.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(proto.Name)} }

// Name implements encoding.CodecV2. Peers read it as the subtype of the content, which
// is protobuf unless a call says otherwise.
func (codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return c.proto.Marshal(v)
	}
	m.data.Ref() // gRPC frees what it was given
	return m.data, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		if err := c.proto.Unmarshal(data, v); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		return nil
	}
	m.free()
	data.Ref()
	m.data = data
	return nil
}
