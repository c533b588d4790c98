// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"

	"golang.org/x/sys/unix"
)

// several is what a socketWriter has to write several pieces of memory at once.
type several struct {
	attempt func(fd uintptr) (done bool)
	list    [][]byte
}

func (w *socketWriter) prepareSeveral() { w.several.attempt = w.writeSeveralTo }

// writeSomeOf implements gatherWriter.
func (w *socketWriter) writeSomeOf(list [][]byte) (int, error) {
	w.several.list, w.n, w.err = list, 0, nil
	err := w.raw.Write(w.several.attempt)
	w.several.list = nil
	return w.n, errors.Join(err, w.err)
}

// writeSeveralTo is writeTo of several pieces.
func (w *socketWriter) writeSeveralTo(fd uintptr) (done bool) {
	tellRace(int(fd))
	for again := true; again; {
		again = w.isInterrupted(unix.Writev(int(fd), w.several.list))
	}
	return true
}
