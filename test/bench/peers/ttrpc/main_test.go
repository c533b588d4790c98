// SPDX-License-Identifier: MPL-2.0

package main

import (
	"testing"

	"github.com/reattach/reattach/test/bench/internal/peertest"
	"github.com/reattach/reattach/test/bench/internal/plan"
)

func TestMain(m *testing.M) { peertest.Main(m, main) }

func TestSubjects(t *testing.T) { peertest.Measure(t, plan.TTRPC) }
