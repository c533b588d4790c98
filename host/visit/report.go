// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Report is what happened at one place.
type Report struct {
	Place
	// Protocol and Version are what host and plugin settled on: "net/rpc" or
	// "gRPC", and the version of the contract. They are empty if Err is set.
	Protocol string
	Version  int
	// Kinds are in the order in which the host knows them.
	Kinds []KindReport
	// Err is why the plugin could not be visited at all.
	Err error
}

// KindReport is what one kind answered.
type KindReport struct {
	// Name is the kind's.
	Name string
	// Served is false if the plugin does not have this kind.
	Served bool
	// Answers are in the order of the questions.
	Answers []Answer
	// Err is why the kind could not be asked.
	Err error
}

// gaveUp reports whether the plugin did not answer in time.
func (k KindReport) gaveUp() bool {
	if n := len(k.Answers); n > 0 && unanswered(k.Answers[n-1].Err) {
		return true
	}
	return unanswered(k.Err)
}

// Answer is what one question gave.
type Answer struct {
	Method string
	Text   string
	Err    error
}

// Failed reports whether anything went wrong. A plugin that lacks a kind or a
// method has not failed: it is only older than the host.
func (r Report) Failed() bool {
	if r.Err != nil {
		return true
	}
	for _, k := range r.Kinds {
		if k.Err != nil {
			return true
		}
		for _, a := range k.Answers {
			if a.Err != nil && !lacksMethod(a.Err) {
				return true
			}
		}
	}
	return false
}

// lacksKind reports whether err says that the plugin does not serve a kind.
// Over net/rpc that is the dispenser's answer, over gRPC that of the first call.
func lacksKind(err error) bool {
	if s, ok := grpcStatus(err); ok {
		return s.Code() == codes.Unimplemented && strings.HasPrefix(s.Message(), "unknown service ")
	}
	return err != nil && strings.Contains(err.Error(), "unknown plugin type")
}

// lacksMethod reports whether err says that the plugin's kind is older than the
// method. net/rpc and grpc-go have these words for it.
func lacksMethod(err error) bool {
	if s, ok := grpcStatus(err); ok {
		return s.Code() == codes.Unimplemented
	}
	return err != nil && strings.HasPrefix(err.Error(), "rpc: can't find method ")
}

func grpcStatus(err error) (*status.Status, bool) {
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return s.GRPCStatus(), true
	}
	return nil, false
}
