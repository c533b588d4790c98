// SPDX-License-Identifier: MPL-2.0

package conn

import "regexp"

// changing is what differs each time that the same thing happens: the address of this
// side of a connection, with its port, and the time of day.
var changing = regexp.MustCompile(`(\[[^\]\s]+\]|[0-9a-f.:]+):[0-9]+->|current time [0-9TZ:.+-]+ `)

// SteadyCause leaves out of the text of an error what differs each time that the same
// thing happens, so that equal causes can be counted as one.
func SteadyCause(text string) string { return changing.ReplaceAllString(text, "") }
