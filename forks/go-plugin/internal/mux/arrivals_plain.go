// SPDX-License-Identifier: MPL-2.0

package mux

// plainHead is how many bytes tell whether a long value is nothing but bytes or a text.
const plainHead = 16

// planPlain looks at the first bytes of a message, whose first part is at hand. A value that is
// nothing but bytes or a text is read to where it shall be, if there is room for it as a whole:
// to copy it from pieces costs about as much as to read it.
func (s *arrivals) planPlain(in *inbox, a *arrival) {
	data, err := in.r.Peek(min(in.left, plainHead))
	if err != nil {
		return // It comes again.
	}
	head, n, ok := cutPlain(data, gobText, a.size)
	if !ok {
		head, n, ok = cutPlain(data, gobBytes, a.size)
	}
	if !ok || n <= pieceSize {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plainRoom+n > maxPlainRoom || s.messages[a.key] != a {
		return
	}
	s.plainRoom += n
	a.plainRoom = n
	a.data.plan(head, n)
}
