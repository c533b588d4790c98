// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// answerLine is the plugin's line: exactly one of the two is set.
type answerLine struct {
	Answer  *Answer  `json:"answer,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"`
}

// WriteRequest writes the host's line with one Write. It fails, before it
// writes anything, when the request exceeds a bound that the plugin would
// refuse it for.
func WriteRequest(w io.Writer, req *Request) error {
	filled := *req
	filled.Core = Core
	if refusal := filled.check(); refusal != nil {
		return fmt.Errorf("write hello: %w", refusal)
	}
	line, err := encode(&filled)
	if err != nil {
		return err
	}
	if len(line) > MaxRequest {
		return fmt.Errorf("write hello: the request has %d bytes, at most %d are allowed", len(line), MaxRequest)
	}
	return send(w, line)
}

// WriteAnswer writes the plugin's line with one Write. An answer that would exceed
// MaxAnswer goes without the types of its methods, else without its methods, else
// without its kinds, and is marked Partial: a plugin with a very large interface must
// still be reachable.
func WriteAnswer(w io.Writer, a *Answer) error {
	filled := *a
	filled.Core = Core
	// A type's name is written by a compiler, not by a person, and may have any length.
	filled.Kinds = shortened(a.Kinds, func(m *Method) bool {
		for _, name := range []*string{&m.Args, &m.Reply} {
			if len(*name) > maxText {
				*name, filled.Partial = "", true
			}
		}
		return true
	})
	if err := filled.check(); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	for step := 0; ; step++ {
		line, err := encode(&answerLine{Answer: &filled})
		if err != nil {
			return err
		}
		if len(line) <= MaxAnswer {
			return send(w, line)
		}
		filled.Partial = true
		switch step {
		case 0:
			filled.Kinds = shortened(filled.Kinds, func(m *Method) bool { m.Args, m.Reply = "", ""; return true })
		case 1:
			filled.Kinds = shortened(filled.Kinds, func(*Method) bool { return false })
		case 2:
			filled.Kinds = nil
		default:
			return fmt.Errorf("write hello: the answer exceeds %d bytes even without its kinds", MaxAnswer)
		}
	}
}

// WriteRefusal writes the plugin's line with one Write. The caller closes the
// connection, and does well to close only the writing side first: unread input
// at a full close resets the connection, and the line may never arrive.
func WriteRefusal(w io.Writer, r *Refusal) error {
	shown := *r
	shown.Protocols = append([]string(nil), r.Protocols...)
	shown.clean()
	line, err := encode(&answerLine{Refusal: &shown})
	if err != nil {
		return err
	}
	return send(w, line)
}

// shortened returns the kinds with those of their methods that change keeps, changed.
func shortened(kinds []Kind, change func(*Method) (keep bool)) []Kind {
	short := slices.Clone(kinds)
	for i, k := range kinds {
		short[i].Methods = nil
		for _, m := range k.Methods {
			if change(&m) {
				short[i].Methods = append(short[i].Methods, m)
			}
		}
	}
	return short
}

// encode returns the whole line. The encoder ends it with the newline.
func encode(v any) ([]byte, error) {
	var line bytes.Buffer
	line.WriteString(Prefix + strconv.Itoa(Core) + " ")
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // types such as <-chan stay readable
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write hello: %w", err)
	}
	return line.Bytes(), nil
}

func send(w io.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	return nil
}
