// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The numbers of the fields of a request or an answer say what both sides must know of
// them. Fields before NilableFrom have to be there, as far as a message can tell: lists and
// maps cannot. Fields before OptionalFrom have to be understood. The others may be left out
// by one side and ignored by the other.
const (
	NilableFrom  = 1000
	OptionalFrom = 2000
)

// lacks says which required field a message has not; what is the word for a field.
func lacks(m proto.Message, what string) error {
	r := m.ProtoReflect()
	for i := range r.Descriptor().Fields().Len() {
		f := r.Descriptor().Fields().Get(i)
		if f.Number() < NilableFrom && f.HasPresence() && !r.Has(f) {
			return fmt.Errorf("%s %q is missing", what, f.Name())
		}
	}
	return nil
}

// Accept holds, before the method of an implementation is run, that a request has the
// arguments that it must have, and none that would be lost.
func Accept(method string, in proto.Message) error {
	if err := lacks(in, "argument"); err != nil {
		return &refused{fmt.Sprintf("%s: %v", method, err)}
	}
	if number := unknown(in); number != 0 {
		return &refused{fmt.Sprintf("%s: argument %d is not known to this version of the plugin", method, number)}
	}
	return nil
}

// unknown gives the number of a field that has to be understood, and is not known; zero if
// there is none.
func unknown(m proto.Message) protowire.Number {
	for raw := m.ProtoReflect().GetUnknown(); len(raw) > 0; {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 || number < OptionalFrom {
			return number
		}
		raw = raw[n:]
	}
	return 0
}

// Refuse says that arguments do not fit; it is nil if they do.
func Refuse(method string, c *Conv) error {
	if err := c.Err(); err != nil {
		return &refused{fmt.Sprintf("%s: arguments: %v", method, err)}
	}
	return nil
}

// refused is a call that was not run because its arguments are not what they must be.
type refused struct{ text string }

func (e *refused) Error() string              { return strings.ReplaceAll(e.text, trailer, " ") }
func (e *refused) GRPCStatus() *status.Status { return status.New(codes.InvalidArgument, e.text) }
