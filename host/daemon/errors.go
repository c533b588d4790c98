// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

var (
	// ErrUnknown is matched by the errors of Dispense and Call that name a plugin,
	// a kind or a method which there is not.
	ErrUnknown = errors.New("unknown")
	// ErrNotServed is matched when a plugin says that it does not serve a kind. It
	// matches ErrUnknown as well.
	ErrNotServed error = notServed{}
	// ErrNotCallable is matched when JSON cannot carry a method.
	ErrNotCallable = errors.New("cannot be called with JSON")
	// ErrStopped is matched by the errors of Dispense, of Call and of the calls of every
	// dispensed value that begin when Run was told to end, or has returned. They are
	// *stub.Fault of stub.ReasonUnavailable.
	ErrStopped = fleet.ErrShutdown
)

type notServed struct{}

func (notServed) Error() string        { return "not served" }
func (notServed) Is(target error) bool { return target == ErrUnknown }

// unknown marks an error that says itself what is unknown.
type unknown struct{ error }

func (unknown) Is(target error) bool { return target == ErrUnknown }

// lacksKind marks an error of a call by which a plugin says that it does not serve
// the kind: one that lists no kinds can say so in no other way. Over net/rpc it is
// the dispenser's answer, over gRPC that of the server.
func lacksKind(kind string, err error) error {
	if _, failed := stub.Cause(err); failed {
		return err
	}
	refusal, refused := errors.AsType[*stub.RefusedError](err)
	s, ok := status.FromError(err)
	switch {
	case err == nil:
		return nil
	case ok && s.Code() == codes.Unimplemented && strings.HasPrefix(s.Message(), "unknown service "),
		refused && strings.HasSuffix(refusal.Error(), "unknown plugin type: "+kind):
		return fmt.Errorf("%w: kind %q: %w", ErrNotServed, kind, err)
	}
	return err
}
