// SPDX-License-Identifier: MPL-2.0

package calls

import "context"

// Served says which call is served. The root package documents it.
type Served struct {
	Protocol, Kind, Method string
}

// Around runs a call that is served. The root package documents it. Nil runs it plainly.
type Around func(ctx context.Context, call Served, run func(context.Context) error)
