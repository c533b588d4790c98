// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package stdio_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

func TestInFlightSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := new(stdio.InFlight)
		output.Add(1)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if output.Sync(short) == nil {
			t.Error("Sync has not waited")
		}
		for _, proceed := range []func(){func() { output.Arrive(1) }, output.End} {
			synced := make(chan error)
			go func() { synced <- output.Sync(t.Context()) }()
			synctest.Wait()
			proceed()
			if err := <-synced; err != nil {
				t.Error(err)
			}
			output.Add(1)
		}
		if !output.Settled() {
			t.Error("an output that has ended is not settled")
		}
	})
}
