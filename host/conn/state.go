// SPDX-License-Identifier: MPL-2.0

package conn

import "fmt"

// State is the state of one endpoint. The words are gRPC's
// (google.golang.org/grpc/connectivity).
type State uint8

const (
	// Idle: nothing was tried yet.
	Idle State = iota
	// Connecting: a session is being made.
	Connecting
	// Ready: there is a session, and calls may be sent.
	Ready
	// TransientFailure: there is no session; the cause is kept, and unless it is
	// permanent another attempt follows.
	TransientFailure
	// Shutdown: the endpoint was withdrawn, or left; it is drained, or has ended.
	Shutdown
)

var stateNames = [...]string{"IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE", "SHUTDOWN"}

// String gives gRPC's name of the state, such as TRANSIENT_FAILURE.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText spells the state as String does, in JSON and elsewhere.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("state %q is unknown", text)
}
