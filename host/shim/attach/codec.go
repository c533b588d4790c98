// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is one gRPC message as it travels.
type frame struct{ data mem.BufferSlice }

// free gives the buffers back. A frame may be sent again before, and not after.
func (f *frame) free() {
	f.data.Free()
	f.data = nil
}

// rawCodec passes frames as they are. What is not a frame belongs to the library's own
// services, which speak protobuf.
type rawCodec struct{ proto encoding.CodecV2 }

func newRawCodec() rawCodec { return rawCodec{encoding.GetCodecV2(proto.Name)} }

// Name implements encoding.CodecV2. Peers read it as the subtype of the content, which
// is protobuf unless a call says otherwise.
func (rawCodec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return c.proto.Marshal(v)
	}
	f.data.Ref() // gRPC frees what it was given
	return f.data, nil
}

// Unmarshal implements encoding.CodecV2.
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		if err := c.proto.Unmarshal(data, v); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		return nil
	}
	f.free()
	data.Ref()
	f.data = data
	return nil
}
