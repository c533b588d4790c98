// SPDX-License-Identifier: MPL-2.0

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-plugin/printable"
)

// eventBuffer is how many events may wait for one reader.
const eventBuffer = 256

// events streams what changes as server-sent events: "plugins" with all there is,
// then a "change" for each event. Whoever reads too slowly to be told of each is sent
// "plugins" anew. A comment line comes when nothing else does.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		writeProblem(w, problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("%d event streams are open already", s.opts.MaxStreams)})
		return
	}
	defer connectionOf(r).keep()()
	changes := s.opts.Daemon.Subscribe(eventBuffer)
	defer changes.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := &stream{to: w, control: http.NewResponseController(w)}
	if stream.send("plugins", s.opts.Daemon.Found()) != nil {
		return
	}
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	missed := uint64(0)
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		case <-beat.C:
			err = stream.write([]byte(": alive\n\n"))
		case e, open := <-changes.C():
			if !open {
				return
			}
			err = stream.send("change", e)
		}
		if now := changes.Dropped(); err == nil && now != missed {
			missed = now
			err = stream.send("plugins", s.opts.Daemon.Found())
		}
		if err != nil {
			return
		}
	}
}

// stream writes server-sent events, each at once.
type stream struct {
	to      http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(name string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", name, printable.JSON(raw))
	return s.write(b.Bytes())
}

func (s *stream) write(raw []byte) error {
	if _, err := s.to.Write(raw); err != nil {
		return err
	}
	return s.control.Flush()
}
