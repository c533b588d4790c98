// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bufio"
	"bytes"
	"io"
)

// eventReader reads server-sent events. What is in one takes no memory, whatever its
// length, unless it is asked for.
type eventReader struct {
	from   *bufio.Reader
	within bool   // a line that has not ended
	name   string // of the event that has begun
	err    error  // of the stream
}

// maxEvent is how much of an event is looked at, in bytes, but for the list of all plugins.
const maxEvent = 64 << 10

func newEventReader(stream io.Reader) *eventReader {
	return &eventReader{from: bufio.NewReader(stream)}
}

// part gives what is there of a line, and whether it begins one.
func (r *eventReader) part() (text []byte, begins bool, err error) {
	text, more, err := r.from.ReadLine()
	begins = !r.within
	r.within, r.err = more, err
	return text, begins, err
}

// next returns when the name of another event has come. At the end of the stream the
// error is io.EOF.
func (r *eventReader) next() error {
	for {
		text, begins, err := r.part()
		if err != nil {
			return err
		}
		if name, ok := bytes.CutPrefix(text, []byte("event: ")); ok && begins {
			r.name = string(name)
			return nil
		}
	}
}

// data gives what the event says, in the line behind its name: nil if that is longer than
// most bytes.
func (r *eventReader) data(most int) ([]byte, error) {
	for r.within { // the name's line
		if _, _, err := r.part(); err != nil {
			return nil, err
		}
	}
	var all []byte
	for {
		text, _, err := r.part()
		if err != nil {
			return nil, err
		}
		if len(all) <= most {
			all = append(all, text...)
		}
		if r.within {
			continue
		}
		if len(all) > most {
			return nil, nil
		}
		return bytes.TrimPrefix(all, []byte("data: ")), nil
	}
}
