// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The bytes of a call, written by hand from PROTOCOL.md, "gRPC calls".
const (
	goldenHeader = "\x0a/test.S/Do" + "\x04json" + "\x04gzip" + "\xe8\x07" + // 1000 µs
		"\x02" + "\x03key" + "\x05value" + "\x05x-bin" + "\x02\x00\xff"
	goldenMessage = "\x00\x00\x00\x00\x03" + "\x0a\x01a" // a StringValue "a"
	goldenReply   = "\x80\x00\x00\x00\x0b" + "\x01" + "\x03key" + "\x05value"
	goldenRefusal = "\x82\x00\x00\x00\x05" + "leave"
	goldenTrailer = "\x81\x00\x00\x00\x0c" + "\x05" + "\x04none" + "\x00" + "\x01" + "\x01t" + "\x01u"
)

// golden is what goldenHeader says.
func golden() header {
	return header{
		method: []byte("/test.S/Do"), subtype: "json", compressor: "gzip", timeout: time.Millisecond,
		metadata: metadata.MD{"key": {"value"}, "x-bin": {"\x00\xff"}},
	}
}

// TestGoldenHeader reads the header of a call that was written by hand, and writes it: the
// order of its pairs is free.
func TestGoldenHeader(t *testing.T) {
	got, err := readHeader([]byte(goldenHeader))
	if want := golden(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	one := metadata.MD{"key": {"value"}}
	made, ok := appendHeader(nil, "/test.S/Do", &options{subtype: "json", compressor: "gzip"}, time.Millisecond, one)
	if want := "\x0a/test.S/Do\x04json\x04gzip\xe8\x07\x01\x03key\x05value"; !ok || string(made) != want {
		t.Errorf("got %q, %v\nwant %q", made, ok, want)
	}
	made, ok = appendHeader(nil, "/test.S/Do", &options{subtype: "json", compressor: "gzip"}, time.Millisecond, golden().metadata)
	again, err := readHeader(made)
	if !ok || err != nil || len(made) != len(goldenHeader) || !reflect.DeepEqual(again, golden()) {
		t.Errorf("got %q, %v, %v", made, ok, err)
	}
}

// TestGoldenRefusal reads the refusal of a call that was written by hand. It is the only item.
func TestGoldenRefusal(t *testing.T) {
	for from, want := range map[string]error{
		goldenRefusal:               &refusal{"leave"},
		goldenReply + goldenRefusal: errMalformed,
	} {
		r := &reply{items: items{Reader: bytes.NewReader([]byte(from))}}
		if more, err := r.next(); more || !errors.Is(err, want) && !reflect.DeepEqual(err, want) {
			t.Errorf("%q: %v, %v, want %v", from, more, err, want)
		}
	}
}

// TestGoldenAnswer reads an answer that was written by hand.
func TestGoldenAnswer(t *testing.T) {
	r := &reply{items: items{Reader: bytes.NewReader([]byte(goldenReply + goldenMessage + goldenTrailer))}}
	o := parsed(t)
	more, err := r.next()
	var msg wrapperspb.StringValue
	if err := errors.Join(err, r.message(o, &msg)); !more || err != nil || msg.GetValue() != "a" {
		t.Errorf("got %q, %v, %v", msg.GetValue(), more, err)
	}
	if more, err := r.next(); more || err != nil || r.status.Code() != codes.NotFound || r.status.Message() != "none" {
		t.Errorf("it ends with %v, %v, %v", r.status, more, err)
	}
	if h, tr := r.header, r.trailer; !reflect.DeepEqual(h, metadata.MD{"key": {"value"}}) || !reflect.DeepEqual(tr, metadata.MD{"t": {"u"}}) {
		t.Errorf("header %v, trailer %v", h, tr)
	}
}

// parsed are the options of a call without any.
func parsed(t testing.TB, opts ...grpc.CallOption) *options {
	t.Helper()
	o := new(options)
	if !o.parse(opts) {
		t.Fatal("the options cannot be honoured")
	}
	return o
}

// FuzzHeader reads what a host says of a call. What is understood and may be sent is the
// same when it was sent and read again.
func FuzzHeader(f *testing.F) {
	for n := range len(goldenHeader) + 1 {
		f.Add([]byte(goldenHeader[:n]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHeader(data)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatal(err)
			}
			return
		}
		if h.timeout < 0 {
			t.Fatalf("a timeout of %v", h.timeout)
		}
		made, ok := appendHeader(nil, string(h.method), &options{subtype: h.subtype, compressor: h.compressor}, h.timeout, h.metadata)
		if !ok {
			return
		}
		again, err := readHeader(made)
		if h.method = bytes.Clone(h.method); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}

// answerRead is all that a host makes of an answer.
type answerRead struct {
	messages        []string
	code            codes.Code
	text            string
	header, trailer metadata.MD
	err             string
}

func readAnswer(t *testing.T, from io.Reader) (got answerRead) {
	r := &reply{items: items{Reader: from}}
	o := parsed(t, grpc.MaxCallRecvMsgSize(1<<20))
	for {
		more, err := r.next()
		if err == nil && !more {
			got.code, got.text, got.header, got.trailer = r.status.Code(), r.status.Message(), r.header, r.trailer
			return got
		}
		var msg wrapperspb.StringValue
		if err == nil {
			err = r.message(o, &msg)
		}
		if err != nil {
			if !errors.Is(err, errMalformed) && !isRefusal(err) && err != io.EOF && err != io.ErrUnexpectedEOF && status.Code(err) == codes.Unknown {
				t.Fatalf("an error of no kind: %v", err)
			}
			got.err = status.Code(err).String()
			return got
		}
		got.messages = append(got.messages, msg.GetValue())
	}
}

// FuzzAnswer reads what a plugin says in answer to a call, as a stream gives it and as a
// unary call collects it. Both understand the same.
func FuzzAnswer(f *testing.F) {
	all := goldenReply + goldenMessage + goldenTrailer
	for n := range len(all) + 1 {
		f.Add([]byte(all[:n]), byte(n))
	}
	f.Add([]byte(goldenRefusal), byte(1))
	f.Add([]byte("\x00\xff\xff\xff\xff"), byte(1))
	f.Add([]byte("\x81\x00\x00\x00\x05\x02\x00\x03\x08\x02\x00"), byte(3))
	f.Fuzz(func(t *testing.T, data []byte, step byte) {
		streamed := readAnswer(t, bytes.NewReader(data))
		var p pieces
		for rest := data; len(rest) > 0; {
			n := copy(p.last()[:min(len(p.last()), int(step)+1)], rest)
			p.grow(n)
			rest = rest[n:]
		}
		collected := readAnswer(t, &p)
		p.recycle()
		if !reflect.DeepEqual(streamed, collected) {
			t.Fatalf("%+v as a stream, %+v at once", streamed, collected)
		}
	})
}
