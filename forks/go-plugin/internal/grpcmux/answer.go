// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// directWrite is from how many bytes on a message is not copied before it is sent.
const directWrite = 32 << 10

// answer is the http.ResponseWriter of a call. Only the goroutine of ServeHTTP uses it.
type answer struct {
	stream *mux.Stream
	unary  bool // all that is sent may leave together
	header http.Header
	begun  bool // the header was written, or is not needed
	code   int  // of HTTP; zero for that of an answer
	buf    []byte
}

var answers = sync.Pool{New: func() any { return &answer{header: make(http.Header, 8)} }}

func newAnswer(stream *mux.Stream) *answer {
	a := answers.Get().(*answer)
	a.stream, a.unary = stream, stream.Purpose() == mux.UnaryCall
	a.begun, a.code, a.buf = false, 0, a.buf[:0]
	return a
}

func (a *answer) recycle() {
	clear(a.header)
	a.stream = nil
	if cap(a.buf) <= 2*directWrite {
		answers.Put(a)
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if code != http.StatusOK {
		a.code = code
		return
	}
	a.begin(!a.unary)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.code != 0 { // text for a browser
		a.buf = append(a.buf, p[:min(len(p), maxMethod)]...)
		return len(p), nil
	}
	a.begin(false)
	if len(p) < directWrite {
		a.buf = append(a.buf, p...)
		return len(p), nil
	}
	a.send()
	return a.stream.Write(p)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	if a.code != 0 {
		return
	}
	a.begin(false) // What is set from now on is trailers.
	if !a.unary {
		a.send()
	}
}

func (a *answer) send() {
	if len(a.buf) > 0 {
		_, _ = a.stream.Write(a.buf) // The call's context says why it fails.
		a.buf = a.buf[:0]
	}
}

// begin sends the header of the answer once, if it says something or must be sent.
func (a *answer) begin(must bool) {
	if a.begun {
		return
	}
	a.begun = true
	own := 0
	for key := range a.header {
		if isOwnHeader(key) {
			own++
		}
	}
	if own == len(a.header) && !must {
		return
	}
	start := len(a.buf)
	a.buf = beginItem(a.buf, itemHeader)
	a.metadata(func(key string) (string, bool) { return key, !isOwnHeader(key) })
	endItem(a.buf, start)
}

// isOwnHeader reports whether a header is HTTP's, or of the trailers that gRPC sets later.
func isOwnHeader(key string) bool {
	switch key {
	case "Content-Type", "Trailer", "Date", "Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin":
		return true
	}
	return strings.HasPrefix(key, http.TrailerPrefix)
}

// metadata appends the headers that named gives a name.
func (a *answer) metadata(named func(string) (string, bool)) {
	pairs := 0
	for key, values := range a.header {
		if _, ok := named(key); ok {
			pairs += len(values)
		}
	}
	a.buf = binary.AppendUvarint(a.buf, uint64(pairs))
	for key, values := range a.header {
		name, ok := named(key)
		if !ok {
			continue
		}
		name = strings.ToLower(name)
		for _, value := range values {
			if isBinary(name) {
				value = decodeBinary(value)
			}
			a.buf = appendText(appendText(a.buf, name), value)
		}
	}
}

// decodeBinary undoes what gRPC does to bytes in a header.
func decodeBinary(value string) string {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return value
	}
	return string(decoded)
}

// finish ends the call as the handler has. It reports false if it has not.
func (a *answer) finish() bool {
	if a.code != 0 {
		end(a.stream, codes.Internal, strings.TrimSpace(string(a.buf)))
		return true
	}
	value := a.header.Get("Grpc-Status")
	code, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return false
	}
	start := len(a.buf)
	a.buf = binary.AppendUvarint(beginItem(a.buf, itemTrailer), code)
	text := a.header.Get("Grpc-Message")
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	a.buf = appendText(a.buf, text)
	a.buf = appendText(a.buf, decodeBinary(a.header.Get("Grpc-Status-Details-Bin")))
	a.metadata(func(key string) (string, bool) { return strings.CutPrefix(key, http.TrailerPrefix) })
	endItem(a.buf, start)
	_, _ = a.stream.WriteLast(a.buf)
	return true
}

// end ends a call that gRPC was not asked about.
func end(stream *mux.Stream, code codes.Code, text string) {
	b := binary.AppendUvarint(beginItem(nil, itemTrailer), uint64(code))
	b = append(appendText(b, text), 0, 0)
	endItem(b, 0)
	_, _ = stream.WriteLast(b)
}

// refuse says that the plugin has not run a call, and why.
func refuse(stream *mux.Stream, why string) {
	b := append(beginItem(nil, itemRefused), why...)
	endItem(b, 0)
	_, _ = stream.WriteLast(b)
}
