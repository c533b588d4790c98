// SPDX-License-Identifier: MPL-2.0

package conn

import "errors"

// ErrPermanent is matched by errors that stay until the endpoint itself is
// replaced: a wrong version, a wrong cookie, a file that is no plugin.
var ErrPermanent = errors.New("permanent")

// ErrGraceful is matched by the causes of sessions that ended in order: the plugin
// leaves, or this host makes the session anew.
var ErrGraceful = errors.New("graceful")

// graceful is a cause that matches ErrGraceful.
type graceful string

func (g graceful) Error() string { return string(g) }

func (graceful) Is(target error) bool { return target == ErrGraceful }

// Permanent marks err as permanent without changing its text. It returns nil
// for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }

func (p permanent) Unwrap() []error { return []error{ErrPermanent, p.err} }
