// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/longproto"
)

// shortPiece is up to how many bytes the first piece of a long message is copied behind what
// was appended, to leave in the same frame: the copy costs less than a write of its own.
const shortPiece = 1 << 10

// appendMessage appends a message of a call, but leaves the bytes of a long one to be sent
// behind what was appended. The caller sends them before the message may change, and frees
// them. The errors, and their words, are those of gRPC for Go.
func (o *options) appendMessage(b []byte, msg any) (_ []byte, long mem.BufferSlice, err error) {
	if m, ok := msg.(protobuf.Message); ok && o.compressor == "" && o.codec == codecOfGRPC() {
		return o.appendProto(b, m)
	}
	data, err := o.marshal(msg)
	if err != nil {
		return b, nil, err
	}
	n := data.Len()
	if n < directWrite || n > o.maxSend || o.compressor != "" {
		defer data.Free()
		b, err = o.appendData(b, data)
		return b, nil, err
	}
	b = beginItem(b, itemMessage)
	binary.BigEndian.PutUint32(b[len(b)-itemHead+1:], uint32(n))
	return b, data, nil
}

// appendProto is appendMessage with gRPC's own codec, which would make a copy of the message.
func (o *options) appendProto(b []byte, m protobuf.Message) (_ []byte, long mem.BufferSlice, err error) {
	n, start := protobuf.Size(m), len(b)
	if n > o.maxSend {
		return b, nil, errTooLong(n, o.maxSend)
	}
	b = beginItem(b, itemMessage)
	if n < directWrite {
		b, err = protobuf.MarshalOptions{UseCachedSize: true}.MarshalAppend(slices.Grow(b, n), m)
	} else {
		long, err = longproto.Marshal(m)
	}
	if err != nil {
		return b[:start], nil, errMarshal(err)
	}
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-itemHead+long.Len()))
	if len(long) > 0 && long[0].Len() <= shortPiece {
		b = append(b, long[0].ReadOnlyData()...) // It leaves in the same frame.
		long = long[1:]
	}
	return b, long, nil
}

// codecOfGRPC is gRPC's own codec of protobuf; nil: the program has registered another one in
// its place.
var codecOfGRPC = sync.OnceValue(func() encoding.CodecV2 {
	codec := encoding.GetCodecV2(proto.Name)
	if t := reflect.TypeOf(codec); t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "google.golang.org/grpc/encoding/proto" {
		return codec
	}
	return nil
})

func errMarshal(err error) error {
	return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
}

func errTooLong(n, most int) error {
	return status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", n, most)
}

func (o *options) marshal(msg any) (mem.BufferSlice, error) {
	if msg == nil {
		return nil, nil
	}
	data, err := o.codec.Marshal(msg)
	if err != nil {
		return nil, errMarshal(err)
	}
	return data, nil
}

func (o *options) appendData(b []byte, data mem.BufferSlice) ([]byte, error) {
	flag, start := byte(itemMessage), len(b)
	b = beginItem(b, flag)
	if compressor := encoding.GetCompressor(o.compressor); compressor != nil && data.Len() > 0 {
		b[start] = itemCompressed
		w := appender{b}
		if err := compress(compressor, &w, data); err != nil {
			return b[:start], status.Errorf(codes.Internal, "grpc: error while compressing: %v", err)
		}
		b = w.data
	} else {
		for _, piece := range data {
			b = append(b, piece.ReadOnlyData()...)
		}
	}
	if n := len(b) - start - itemHead; n > o.maxSend {
		return b[:start], errTooLong(n, o.maxSend)
	}
	endItem(b, start)
	return b, nil
}

// checkCompressor returns an error for a compressor that is not there.
func (o *options) checkCompressor() error {
	switch o.compressor {
	case "", encoding.Identity:
		return nil
	}
	if encoding.GetCompressor(o.compressor) == nil {
		return status.Errorf(codes.Internal, "grpc: Compressor is not installed for requested grpc-encoding %q", o.compressor)
	}
	return nil
}

// appender is a buffer to write to and to read from.
type appender struct{ data []byte }

func (a *appender) Read(p []byte) (int, error) {
	if len(a.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.data)
	a.data = a.data[n:]
	return n, nil
}

func (a *appender) Write(p []byte) (int, error) {
	a.data = append(a.data, p...)
	return len(p), nil
}

func compress(compressor encoding.Compressor, to io.Writer, data mem.BufferSlice) error {
	w, err := compressor.Compress(to)
	if err != nil {
		return err
	}
	for _, piece := range data {
		if _, err := w.Write(piece.ReadOnlyData()); err != nil {
			return err
		}
	}
	return w.Close()
}

// readMessage decodes the message whose head was read. encoding is what the header of the
// answer says of compression.
func (o *options) readMessage(r *items, flag byte, size uint32, compression string, msg any) error {
	if err := o.checkSize(size); err != nil {
		return err
	}
	data, err := r.rest(size)
	if err != nil {
		return err
	}
	return o.decode(flag, data, compression, msg)
}

func (o *options) checkSize(size uint32) error {
	if int64(size) > int64(o.maxReceive) {
		return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", size, o.maxReceive)
	}
	return nil
}

// decode decodes a message, and frees it.
func (o *options) decode(flag byte, data mem.BufferSlice, compression string, msg any) error {
	defer func() { data.Free() }()
	if flag == itemCompressed {
		plain, err := o.decompress(data, compression)
		if err != nil {
			return err
		}
		data.Free()
		data = plain
	}
	if err := o.unmarshal(data, msg); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

func (o *options) unmarshal(data mem.BufferSlice, msg any) error {
	if m, ok := msg.(protobuf.Message); ok && len(data) > 1 && data.Len() >= longproto.Long && o.codec == codecOfGRPC() {
		return longproto.Unmarshal(data, m)
	}
	return o.codec.Unmarshal(data, msg)
}

func (o *options) decompress(data mem.BufferSlice, compression string) (mem.BufferSlice, error) {
	if compression == "" || compression == encoding.Identity {
		return nil, status.Error(codes.Internal, "grpc: compressed flag set with identity or empty encoding")
	}
	compressor := encoding.GetCompressor(compression)
	if compressor == nil {
		return nil, status.Errorf(codes.Internal, "grpc: Decompressor is not installed for grpc-encoding %q", compression)
	}
	reader, err := compressor.Decompress(data.Reader())
	var plain mem.BufferSlice
	if err == nil {
		plain, err = mem.ReadAll(io.LimitReader(reader, int64(o.maxReceive)+1), mem.DefaultBufferPool())
	}
	if err != nil {
		plain.Free()
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	if n := plain.Len(); n > o.maxReceive {
		plain.Free()
		return nil, status.Errorf(codes.ResourceExhausted, "grpc: received message after decompression larger than max (%d vs. %d)", n, o.maxReceive)
	}
	return plain, nil
}

// isStatus reports whether an error is what the call ended with, and not the stream's.
func isStatus(err error) bool {
	var s interface{ GRPCStatus() *status.Status }
	return errors.As(err, &s)
}
