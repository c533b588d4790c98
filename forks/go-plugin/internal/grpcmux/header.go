// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

// What a host may send with one call, and a plugin takes. A call with more goes by HTTP/2,
// which has no such bound.
const (
	maxMethod        = 1 << 10
	maxRequestFields = 16 << 10
	maxRequestPairs  = 64
)

// keyEncoding is where compression is told, in the metadata of a call and of its header.
const keyEncoding = "grpc-encoding"

// appendHeader appends the header of the stream of a call: method, content subtype,
// compression, timeout in microseconds or zero for none, metadata. It reports false if
// that cannot be sent.
func appendHeader(b []byte, method string, o *options, timeout time.Duration, md metadata.MD) (_ []byte, ok bool) {
	if len(method) > maxMethod || !strings.HasPrefix(method, "/") {
		return b, false
	}
	start := len(b)
	b = appendText(b, method)
	b = appendText(b, o.subtype)
	b = appendText(b, o.compressor)
	b = binary.AppendUvarint(b, uint64((timeout+time.Microsecond-1)/time.Microsecond))
	pairs := 0
	for key, values := range md {
		if !isKey(key) {
			return b, false
		}
		pairs += len(values)
	}
	if pairs > maxRequestPairs {
		return b, false
	}
	b = binary.AppendUvarint(b, uint64(pairs))
	for key, values := range md {
		for _, value := range values {
			if !isBinary(key) && !isPrintable(value) {
				return b, false
			}
			b = appendText(appendText(b, key), value)
		}
	}
	return b, len(b)-start <= maxRequestFields
}

// header is what a plugin reads of it.
type header struct {
	method              []byte
	subtype, compressor string
	timeout             time.Duration
	metadata            metadata.MD
}

func readHeader(data []byte) (header, error) {
	f := fields{data: data}
	if len(data) > maxRequestFields {
		f.fail(fmt.Sprintf("its header has %d bytes, at most %d are possible", len(data), maxRequestFields))
	}
	h := header{method: f.bytes(), subtype: string(f.bytes()), compressor: string(f.bytes())}
	h.timeout = time.Duration(min(f.number(), math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond
	if len(h.method) > maxMethod {
		f.fail(fmt.Sprintf("its method's name has %d bytes, at most %d are possible", len(h.method), maxMethod))
	}
	h.metadata = f.metadata(maxRequestPairs)
	return h, f.err
}

func isBinary(key string) bool { return strings.HasSuffix(key, "-bin") }

// isKey reports whether gRPC takes a key of metadata and sends it. Of others it says so
// in its own words, or leaves them out.
func isKey(key string) bool {
	if key == "" || strings.HasPrefix(key, "grpc-") {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	switch key {
	case "content-type", "user-agent", "te", "host", "connection":
		return false
	}
	return true
}

func isPrintable(value string) bool {
	for i := range len(value) {
		if value[i] < 0x20 || value[i] > 0x7e {
			return false
		}
	}
	return true
}
