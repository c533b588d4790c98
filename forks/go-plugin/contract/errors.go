// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/rpc"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Errors knows which errors of a contract survive the way to the other side: its sentinels,
// which errors.Is finds there, and its error types, which errors.As finds. Of any other
// error the text arrives. It never changes.
type Errors struct {
	domain string
	known  []KnownError
	// messages says that the contract's messages are those of a .proto file: they travel as
	// they are, and what is not known of them is ignored.
	messages bool
}

// KnownError is a sentinel or an error type; [Sentinel] and [ErrorType] make it.
type KnownError struct {
	// detail gives what says that err is, or wraps, this one; nil if it does not.
	detail func(domain string, err error) proto.Message
	// read gives the error that a detail stands for; nil if it stands for another.
	read func(domain string, detail proto.Message) error
}

// maxErrorDetails bounds what an error says beside its text, in bytes: over gRPC it travels
// among the trailers. An error type of more arrives as its text.
const maxErrorDetails = 64 << 10

// NewErrors returns the errors of the contract called domain. Those sentinels of the
// standard library that are commonly returned by interfaces are among them: io.EOF and
// io.ErrUnexpectedEOF, fs.ErrNotExist, fs.ErrExist and fs.ErrPermission,
// errors.ErrUnsupported.
func NewErrors(domain string, known ...KnownError) *Errors {
	return &Errors{domain: domain, known: append(known,
		standard("io.EOF", io.EOF), standard("io.ErrUnexpectedEOF", io.ErrUnexpectedEOF),
		standard("fs.ErrNotExist", fs.ErrNotExist), standard("fs.ErrExist", fs.ErrExist),
		standard("fs.ErrPermission", fs.ErrPermission), standard("errors.ErrUnsupported", errors.ErrUnsupported))}
}

// NewMessages is NewErrors for a contract that was begun with a .proto file.
func NewMessages(domain string, known ...KnownError) *Errors {
	e := NewErrors(domain, known...)
	e.messages = true
	return e
}

// Sentinel is an error that callers compare with, by the name of its variable.
func Sentinel(name string, target error) KnownError {
	return KnownError{
		detail: func(domain string, err error) proto.Message {
			if !errors.Is(err, target) {
				return nil
			}
			return &errdetails.ErrorInfo{Reason: name, Domain: domain}
		},
		read: func(domain string, detail proto.Message) error {
			if i, ok := detail.(*errdetails.ErrorInfo); ok && i.GetReason() == name && i.GetDomain() == domain {
				return target
			}
			return nil
		},
	}
}

// standard is a sentinel of the standard library, whatever the contract.
func standard(name string, target error) KnownError {
	s := Sentinel(name, target)
	return KnownError{
		detail: func(_ string, err error) proto.Message { return s.detail("go", err) },
		read:   func(_ string, detail proto.Message) error { return s.read("go", detail) },
	}
}

// ErrorType is a type of errors whose values travel as messages of type M.
func ErrorType[E error, M proto.Message](to func(*Conv, E) M, from func(*Conv, M) E) KnownError {
	return KnownError{
		detail: func(_ string, err error) proto.Message {
			var typed E
			if !errors.As(err, &typed) {
				return nil
			}
			var c Conv
			m := to(&c, typed)
			if c.Err() != nil || !m.ProtoReflect().IsValid() {
				return nil
			}
			return m
		},
		read: func(_ string, detail proto.Message) error {
			m, ok := detail.(M)
			if !ok {
				return nil
			}
			var c Conv
			if typed := from(&c, m); c.Err() == nil {
				return typed
			}
			return nil
		},
	}
}

// answered is an error of an implementation on its way to the other side: net/rpc takes
// its text, gRPC its status.
type answered struct{ status *spb.Status }

// Error gives the text; after it what the details are, if there are any.
func (e *answered) Error() string {
	text := e.status.GetMessage()
	if len(e.status.GetDetails()) == 0 && !strings.Contains(text, trailer) {
		return text
	}
	raw, err := proto.Marshal(&spb.Status{Details: e.status.GetDetails()})
	if err != nil {
		return text
	}
	return text + trailer + base64.RawURLEncoding.EncodeToString(raw) + "}"
}

// trailer begins what follows the text of an error over net/rpc, which has no place for
// details: " {reattach-error:BASE64}". A text that holds it already gets one of its own, and
// only the last counts, so that no text can pass for an error that it is not.
const trailer = " {reattach-error:"

// GRPCStatus implements what package status looks for.
func (e *answered) GRPCStatus() *status.Status { return status.FromProto(e.status) }

// Encode makes of an error that an implementation returned what is sent in its place. It
// is nil for nil.
func (e *Errors) Encode(err error) error {
	if err == nil {
		return nil
	}
	// Always Unknown, whatever the error wraps: other codes say that the call itself failed.
	s := &spb.Status{Code: int32(codes.Unknown), Message: strings.ToValidUTF8(err.Error(), "\uFFFD")}
	size := 0
	for _, known := range e.known {
		m := known.detail(e.domain, err)
		if m == nil {
			continue
		}
		detail, err := anypb.New(m)
		if err != nil || size+len(detail.GetValue()) > maxErrorDetails {
			continue
		}
		size += len(detail.GetValue())
		s.Details = append(s.Details, detail)
	}
	return &answered{s}
}

// EncodeStatus is Encode for the methods of a service, whose callers may know codes: a
// status that an implementation returned is sent as it is.
func (e *Errors) EncodeStatus(err error) error {
	if s, ok := status.FromError(err); ok && err != nil && s.Code() != codes.Unknown {
		return err
	}
	return e.Encode(err)
}

// Decode undoes Encode on the caller's side. Errors of the call itself, which no
// implementation returned, pass unchanged.
func (e *Errors) Decode(err error) error {
	switch err := err.(type) {
	case nil:
		return nil
	case rpc.ServerError:
		text, details := cutTrailer(string(err))
		return e.remote(text, details)
	case interface{ GRPCStatus() *status.Status }:
		if s := err.GRPCStatus(); s.Code() == codes.Unknown {
			return e.remote(s.Message(), s.Proto().GetDetails())
		}
	}
	return err
}

func cutTrailer(text string) (string, []*anypb.Any) {
	at := strings.LastIndex(text, trailer)
	if at < 0 || !strings.HasSuffix(text, "}") {
		return text, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text[at+len(trailer) : len(text)-1])
	if err != nil {
		return text, nil
	}
	var s spb.Status
	if proto.Unmarshal(raw, &s) != nil {
		return text, nil
	}
	return text[:at], s.GetDetails()
}

// remote gives the error that the other side returned.
func (e *Errors) remote(text string, details []*anypb.Any) error {
	var wraps []error
	for _, detail := range details {
		if known := e.read(detail); known != nil {
			wraps = append(wraps, known)
		}
	}
	if len(wraps) == 1 && wraps[0].Error() == text {
		return wraps[0]
	}
	return &remoteError{text, wraps}
}

func (e *Errors) read(detail *anypb.Any) error {
	m, err := detail.UnmarshalNew()
	if err != nil {
		return nil
	}
	for _, known := range e.known {
		if err := known.read(e.domain, m); err != nil {
			return err
		}
	}
	return nil
}

// remoteError is an error of the other side: its text, and those errors of the contract
// that it wrapped.
type remoteError struct {
	text  string
	wraps []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.wraps }
