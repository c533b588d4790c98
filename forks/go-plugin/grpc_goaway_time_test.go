// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package plugin_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestLeavingPluginIsNotProbed has a plugin leave by a GOAWAY, after which it takes no probe. Its
// call in flight goes on, however long nothing comes.
func TestLeavingPluginIsNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := scriptedSession(t, 5*time.Second)
		peer.says(wireSettings)
		stub, ended := dispenseRelay(t, s.Dispense), make(chan error, 1)
		go func() {
			_, err := stub.count(t.Context(), "") // which waits for what it counts
			ended <- err
		}()
		synctest.Wait() // gRPC has opened the stream
		peer.says(wireLeave)
		time.Sleep(time.Minute)
		select {
		case err := <-ended:
			t.Errorf("the call in flight has ended with %v", err)
		default:
		}
		if err := s.Err(); err != nil || !isClosed(s.Draining()) {
			t.Errorf("the session has ended with %v, and is draining: %v", err, isClosed(s.Draining()))
		}
		peer.hangUp()
		<-s.Done()
	})
}
