// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/reattach/reattach/host/daemon"
)

// LookBack implements client. The question takes none of the daemon's event streams: one of
// an earlier build answers with a stream all the same, which is left.
func (r *remote) LookBack(ctx context.Context) (now lookBack, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	answer, err := r.send(ctx, http.MethodGet, "follow=false", nil, "events")
	if err != nil {
		return now, err
	}
	defer answer.Body.Close()
	events := newEventReader(answer.Body)
	for err = events.next(); err == nil; err = events.next() {
		if events.name == "plugins" {
			err = r.readBegin(events, func(read lookBack) error { now = read; return nil })
			break
		}
	}
	if events.err != nil {
		err = failf(exitUnreachable, "read the events of the daemon at %s: %w", r.base, events.err)
	}
	return now, err
}

// Events implements client.
func (r *remote) Events(ctx context.Context, list func(lookBack) error, show func(daemon.Event) error) error {
	return r.stream(ctx, func(events *eventReader) error {
		switch events.name {
		case "plugins":
			return r.readBegin(events, list)
		case "change":
			_, err := readEvent(r, events, maxEvent, show)
			return err
		}
		return nil
	})
}

// readBegin calls use with the whole state that an event says.
func (r *remote) readBegin(events *eventReader, use func(lookBack) error) error {
	read, err := readEvent(r, events, maxAnswer, use)
	if !read && err == nil {
		err = failf(exitUnreachable, "the daemon at %s lists plugins in more than %d bytes", r.base, maxAnswer)
	}
	return err
}

// readEvent calls use with what an event says, and reports whether it has read it: not one
// that is longer than most bytes.
func readEvent[T any](r *remote, events *eventReader, most int, use func(T) error) (read bool, err error) {
	raw, err := events.data(most)
	if err != nil || raw == nil {
		return false, err
	}
	var said T
	if err := json.Unmarshal(raw, &said); err != nil {
		return false, failf(exitUnreachable, "read the events of the daemon at %s: %w", r.base, err)
	}
	return true, use(said)
}

// Watch implements client. Every event is a hint to look again.
func (r *remote) Watch(ctx context.Context, show func(found) error) error {
	return r.stream(ctx, func(*eventReader) error {
		now, err := r.Plugins(ctx)
		if err == nil {
			err = show(now)
		}
		return err
	})
}

// stream calls each for every event until ctx ends.
func (r *remote) stream(ctx context.Context, each func(*eventReader) error) error {
	answer, err := r.send(ctx, http.MethodGet, "", nil, "events")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	events := newEventReader(answer.Body)
	for {
		err := events.next()
		if err == nil {
			err = each(events)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case events.err == nil && err != nil: // of each
			return err
		case errors.Is(err, io.EOF):
			return away("the daemon at %s ended the stream of events", r.base)
		case err != nil:
			return away("read the events of the daemon at %s: %w", r.base, err)
		}
	}
}
