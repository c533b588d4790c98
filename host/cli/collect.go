// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"os"
	"runtime/debug"
)

// seldom is how many per cent the heap of a shim may grow before it is collected: it begins
// with some MB, so that some 16 MB are the least that is collected for.
const seldom = 400

// collectSeldom has garbage collected less often in a program that only hands calls on. It
// holds next to nothing and makes garbage with each call, so that Go, which collects when the
// heap has doubled, would do so many times a second. GOGC in the environment wins, and GOMEMLIMIT
// bounds it as ever.
func collectSeldom() {
	if _, isSet := os.LookupEnv("GOGC"); !isSet {
		debug.SetGCPercent(seldom)
	}
}
