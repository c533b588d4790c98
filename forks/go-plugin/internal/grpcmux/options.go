// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// maxReceiveOfGRPC bounds a message that is received where nothing says otherwise, in bytes.
const maxReceiveOfGRPC = 4 << 20

// options are the call options of one call.
type options struct {
	maxSend, maxReceive int
	compressor          string
	subtype             string
	codec               encoding.CodecV2 // nil: that of subtype
	headers, trailers   []*metadata.MD
	peer                *peer.Peer // the first that was asked for, and the others
	peers               []*peer.Peer
	finished            []func(error)
}

// parse reports whether all options can be honoured. Later ones win.
func (o *options) parse(all ...[]grpc.CallOption) bool {
	o.maxSend, o.maxReceive = math.MaxInt32, maxReceiveOfGRPC
	for _, opts := range all {
		if !o.add(opts) {
			return false
		}
	}
	return o.chooseCodec()
}

func (o *options) add(opts []grpc.CallOption) bool {
	for _, option := range opts {
		switch option := option.(type) {
		case grpc.MaxRecvMsgSizeCallOption:
			o.maxReceive = option.MaxRecvMsgSize
		case grpc.MaxSendMsgSizeCallOption:
			o.maxSend = option.MaxSendMsgSize
		case grpc.HeaderCallOption:
			o.headers = append(o.headers, option.HeaderAddr)
		case grpc.TrailerCallOption:
			o.trailers = append(o.trailers, option.TrailerAddr)
		case grpc.PeerCallOption:
			if o.peer == nil {
				o.peer = option.PeerAddr
			} else {
				o.peers = append(o.peers, option.PeerAddr)
			}
		case grpc.OnFinishCallOption:
			o.finished = append(o.finished, option.OnFinish)
		case grpc.CompressorCallOption:
			o.compressor = option.CompressorType
		case grpc.ContentSubtypeCallOption:
			o.subtype = option.ContentSubtype
		case grpc.ForceCodecV2CallOption:
			o.codec = option.CodecV2
		case grpc.ForceCodecCallOption:
			o.codec = codecV1{option.Codec}
		case grpc.FailFastCallOption, grpc.StaticMethodCallOption, grpc.MaxRetryRPCBufferSizeCallOption, grpc.EmptyCallOption:
			// A session has one connection, which is there or lost.
		default:
			// PerRPCCredsCallOption among others: credentials look for the call in a
			// context that gRPC alone can make.
			return false
		}
	}
	return true
}

// chooseCodec reports false for a codec that gRPC complains of in words of its own.
func (o *options) chooseCodec() bool {
	switch {
	case o.codec != nil && o.subtype == "":
		o.subtype = o.codec.Name()
	case o.codec != nil:
	default:
		name := o.subtype
		if name == "" {
			name = proto.Name
		}
		if o.codec = encoding.GetCodecV2(name); o.codec == nil {
			old := encoding.GetCodec(name)
			if old == nil {
				return false
			}
			o.codec = codecV1{old}
		}
	}
	return true
}

// codecV1 is a codec of the older interface.
type codecV1 struct{ encoding.Codec }

func (c codecV1) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.Codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

func (c codecV1) Unmarshal(data mem.BufferSlice, v any) error {
	return c.Codec.Unmarshal(data.Materialize(), v)
}
