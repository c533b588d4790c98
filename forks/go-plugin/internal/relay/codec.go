// SPDX-License-Identifier: MPL-2.0

// Package relay carries the sessions of network hosts to a plugin that runs as a child,
// without knowing what the two say to each other: gRPC call by call, net/rpc yamux frame
// by frame.
package relay

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is a message that is passed on as it came. Whoever unmarshals it gives it to one
// call of SendMsg, which frees it.
type frame struct{ data mem.BufferSlice }

// Codec passes the messages of forwarded calls on, and is the usual one for all others:
// those of the library's own services, which a relay serves itself.
type Codec struct{ own encoding.CodecV2 }

// NewCodec returns the codec of a relay's servers.
func NewCodec() Codec { return Codec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		data := f.data
		f.data = nil
		return data, nil
	}
	data, err := c.own.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return data, nil
}

// Unmarshal implements encoding.CodecV2.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*frame); ok {
		data.Ref()
		f.data = data
		return nil
	}
	if err := c.own.Unmarshal(data, v); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// Name implements encoding.CodecV2. It is empty so that calls go on with the content
// type that they came with.
func (Codec) Name() string { return "" }
