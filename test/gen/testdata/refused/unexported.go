// SPDX-License-Identifier: MPL-2.0

package refused

import "sync"

type Counter struct {
	N  int
	mu sync.Mutex
}

type Counting interface {
	Count() (Counter, error) // want `Counter\.mu is not exported, so its value would be lost`
}
