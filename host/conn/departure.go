// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"errors"
	"net"

	"github.com/hashicorp/go-plugin"
)

// Departure is how far a plugin has come that has said that it leaves: nothing is wrong
// with it, although attempts to attach fail.
type Departure string

// How far it has come.
const (
	// Stays: it has not said that it leaves, or something else has gone wrong since.
	Stays Departure = ""
	// Leaving: its calls finish, and it takes no new session.
	Leaving Departure = "leaving"
	// Left: it said so, and nobody has been reached there since.
	Left Departure = "left"
)

// after gives how far it has come when a session or an attempt has ended with err.
func (d Departure) after(err error) Departure {
	refused, isRefused := errors.AsType[*plugin.RefusedError](err)
	dialed, isNet := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, errLeaving), isRefused && refused.Code == plugin.RefusedDraining:
		return Leaving
	case d != Stays && isNet && dialed.Op == "dial":
		return Left
	}
	return Stays
}
