// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// toStatus marks an error that an implementation returned. It always gets code
// Unknown, whatever the error wraps: other codes say that the call itself failed.
func toStatus(err error) error {
	return status.Error(codes.Unknown, err.Error())
}

// fromStatus undoes toStatus, so that a caller reads the same text over gRPC as
// over net/rpc. Errors of the call itself pass unchanged.
func fromStatus(err error) error {
	s, ok := err.(interface{ GRPCStatus() *status.Status })
	if !ok || s.GRPCStatus().Code() != codes.Unknown {
		return err
	}
	return errors.New(s.GRPCStatus().Message())
}
